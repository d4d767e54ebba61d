"""The event log: its ports, whatever keeps the events behind them (see `ports`).

Knows nothing of REST, webhooks or gRPC services: events come in as encoded values with the keys
they are found by, and go out as the bytes that its callers have made of them.
"""
