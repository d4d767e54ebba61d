"""Translation between protobuf messages and the provider's JSON, derived from the protos alone.

Everything is compiled from descriptors once; at run time no descriptor is looked at. Both halves
of the gateway use it: commands (message to JSON and back) and webhooks (JSON to message).
"""
