"""Schema: what the protos declare, compiled once.

At run time no descriptor is looked at. Both halves of the gateway use it: commands (message to JSON
and back) and webhooks (JSON to message, and the keys that events are found by).
"""
