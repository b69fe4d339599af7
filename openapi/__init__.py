"""The contract, and the code that loads, checks and compiles it.

`openapi.yaml` is written by hand and is the source of truth. `contract.load` reads it once, at start-up, and compiles each
parameter and each list of documents to a native validator.
"""
