"""Webhooks: what the provider posts, verified, decoded and handed to the event log."""
