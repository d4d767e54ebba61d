"""Clients that make the calls from Python, each in a process of its own (`bench.worker`)."""
