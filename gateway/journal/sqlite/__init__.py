"""The event log on SQLite: one process, no server to install.

One thread writes, in groups: many webhooks share one fsync. A few threads read, each with its own
connection; in WAL mode neither waits for the other.
"""

from gateway.journal.sqlite.log import open_log

__all__ = ["open_log"]
