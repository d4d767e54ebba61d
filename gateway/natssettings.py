"""The settings of the event log's place, and of what NATS servers are shown where it is theirs."""

import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

from gateway import values
from gateway.fields import File, named, read_by
from gateway.values import StreamUrl

DEFAULT_EVENT_LOG = "sqlite:///.gateway/events.db"

_Readable = Annotated[Path, read_by(values.read_file_path)] | None


def _file(name: str, meaning: str) -> Any:
    return named(name, None, f"{meaning} It is read again for each connection.")


class LogSettings(BaseModel):
    """Where the log is, how to get there, and who this gateway is among those that use it."""

    event_log: Annotated[Path | StreamUrl, read_by(values.read_event_log)] = named(
        "GATEWAY_EVENT_LOG",
        DEFAULT_EVENT_LOG,
        "Where to store events: in a file (`sqlite:///path`), or in a stream of NATS JetStream"
        " (`nats://host:port[,host:port]/stream`, `tls://` for connections that must be"
        " encrypted).",
    )
    index: Annotated[Path, read_by(values.read_index)] = named(
        "GATEWAY_INDEX",
        ".gateway/index.db",
        "File of this gateway's copy of a NATS stream, from which everything is read. It may be"
        " deleted: it is built anew.",
    )
    replica: Annotated[str, read_by(values.read_name)] | None = named(
        "GATEWAY_REPLICA",
        None,
        "This gateway's name among several, which it tells clients and operators. Unset: the host's"
        " name.",
    )
    nats_login: _Readable = _file(
        "GATEWAY_NATS_LOGIN", "File with `user:password`, to log in to NATS with."
    )
    nats_token: _Readable = _file("GATEWAY_NATS_TOKEN", "File of a token for NATS.")
    nats_creds: _Readable = _file(
        "GATEWAY_NATS_CREDS", "Credentials file for NATS, with a JWT and an NKEY seed."
    )
    nats_nkey: _Readable = _file("GATEWAY_NATS_NKEY", "File of an NKEY seed for NATS.")
    nats_tls_ca: File = named(
        "GATEWAY_NATS_TLS_CA",
        None,
        "File of CA certificates (PEM) that NATS servers' certificates must be signed by. Unset:"
        " those of the system.",
    )
    nats_tls_cert: File = named(
        "GATEWAY_NATS_TLS_CERT", None, "File of the certificate (PEM) to show to NATS servers."
    )
    nats_tls_key: File = named(
        "GATEWAY_NATS_TLS_KEY", None, "File of the key (PEM) of `GATEWAY_NATS_TLS_CERT`."
    )

    @property
    def replica_name(self) -> str:
        """What this gateway is called."""
        return self.replica or socket.gethostname()

    @property
    def log_file(self) -> Path:
        """The file that is read from: the log's own, or the index of a stream."""
        return self.event_log if isinstance(self.event_log, Path) else self.index
