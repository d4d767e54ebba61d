"""Scenarios: who calls, joins, talks, misbehaves and leaves, and when, read from a file and played.

A step is an operation of the provider, something that people do by themselves, or a fault. What
it causes comes from the sandbox's own calls, conferences and queues, as from any other command.
"""
