"""Logs: one line each on standard error, for people or as JSON."""

import logging
import sys
from typing import Literal

import grpc
import orjson

LogFormat = Literal["text", "json"]

# Loggers that tell of every request or connection at INFO.
_TALKATIVE = ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access", "grpc", "asyncio")

# Where gRPC's server logs.
_GRPC_SERVER = "grpc._cython.cygrpc"


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record of gRPC's says more than that a caller went before its response.

    gRPC logs that with a traceback if it meets the response before the news of the caller.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, grpc.aio.InternalError)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def configure_logs(level: str, log_format: LogFormat) -> None:
    """Set up logging for the process: called once, by the command line."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S")
        )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger(_GRPC_SERVER).addFilter(_is_news)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
