"""Failures: what the provider's refusals say, and the errors that callers get."""
