"""Ingest: how events get into the log, by webhook or by backfill."""
