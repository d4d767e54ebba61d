"""Upstream: REST calls to the provider, with their retries, their errors and its health.

Knows nothing of gRPC services, webhooks or the event log.
"""
