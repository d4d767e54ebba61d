"""Fuzzers of what reads bytes from outside: properties that hold for any input."""
