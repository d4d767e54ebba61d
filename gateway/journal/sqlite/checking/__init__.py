"""Checking: a log read from end to end, for whatever may be wrong with it."""

from gateway.journal.sqlite.checking.check import check_log

__all__ = ["check_log"]
