"""Clients that generators make of the contract: each must compile in its strictest mode and return what was imported.

`make sdk` runs these tests. A generator whose language is missing on the machine is skipped.
"""
