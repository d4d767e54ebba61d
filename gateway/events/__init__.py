"""The event log and the feed that is read from it.

Knows nothing of REST, webhooks or gRPC services: events come in as encoded values with the keys
they are found by, and go out as the same bytes.
"""
