"""The benchmark: what a validated answer costs, beside what a team would pick instead. `make bench` runs it."""
