"""What the log does not say: a response that met nobody, because its caller was gone before."""

import subprocess
import sys

from tests.harness.process import environment

# As gRPC's server does, in a process whose log is set up as the gateway's.
TOLD = """
import logging, grpc
from gateway.telemetry.logs import configure_logs
configure_logs("info", "text")
for error in (grpc.aio.InternalError("batch failed"), RuntimeError("something else")):
    try:
        raise error
    except Exception:
        logging.getLogger("grpc._cython.cygrpc").exception("raised by servicer method [/s/M]")
"""


def test_a_response_that_met_nobody_is_no_news_and_everything_else_of_grpc_is() -> None:
    told = subprocess.run(
        [sys.executable, "-c", TOLD], env=environment(), capture_output=True, text=True, check=True
    )

    assert told.stderr.count("raised by servicer method") == 1
    assert "RuntimeError: something else" in told.stderr
