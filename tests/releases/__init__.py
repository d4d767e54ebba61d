"""Logs that releases have written, and what was in them: a release opens those of all before it."""
