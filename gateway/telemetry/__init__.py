"""Telemetry: metrics and log lines, made of the records of the other rooms, which it knows not."""
