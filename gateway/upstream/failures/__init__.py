"""Failures: what the provider's refusals say, and what the caller is told of a failed call."""
