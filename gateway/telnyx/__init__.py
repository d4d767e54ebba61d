"""The REST face: RPCs to HTTP requests and HTTP answers back, with their errors.

Knows nothing of gRPC services, webhooks or the event log.
"""
