"""Sending: one call as requests, retried and hedged within limits that all calls share."""
