"""Benchmarks: what the gateway costs beside what else could stand in its place."""
