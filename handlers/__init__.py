"""From a request to an answer: one function per operationId, and the steps before and after it.

`sessions` holds the handlers, `security` decides who may ask, `pipeline` carries a request through the contract and
`problems` turns every error into an RFC 9457 document.
"""
