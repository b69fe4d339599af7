"""The benchmark: the cost of a validated response, beside other programs that a team could choose. `make bench` runs it."""
