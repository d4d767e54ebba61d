"""Writes `gateway/sandbox/api.json`: the provider's API as its official Python SDK knows it.

The result is an OpenAPI 3.1 document. Everything in it is taken from the installed `telnyx`
package, nothing from the protos: the sandbox is the second opinion on those. It runs with nothing
but `telnyx` and what that depends on, so that `make drift` can run it in an environment with the
newest SDK.
"""
