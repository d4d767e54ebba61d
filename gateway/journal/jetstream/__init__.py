"""The event log on NATS JetStream: several gateways, one log.

The stream is the journal: it gives each event its number, and refuses one that is held already.
Each gateway follows it into an index of its own, a copy on SQLite, from which everything is read.
So a broker that is gone keeps new events out, and no reader.
"""

from gateway.journal.jetstream.access import Access, StreamPlace, TlsFiles
from gateway.journal.jetstream.log import open_log

__all__ = ["Access", "StreamPlace", "TlsFiles", "open_log"]
