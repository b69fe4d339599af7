"""The contract, and the code that reads it: load, check, compile to native validators.

`openapi.yaml` is written by hand and is the source of truth. `contract.load` reads it once at start-up and compiles every
parameter and every response body to a native validator; nothing in it is looked at again while a request is served.
"""
