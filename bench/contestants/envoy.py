"""Envoy with its gRPC-JSON reverse transcoder: the other thing that turns gRPC into REST."""

import json
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from bench import tools
from bench.calls import UnaryCall
from bench.contestants.contestant import Described
from bench.contestants.rpc import RpcContestant
from bench.load import H2load
from bench.processes import Processes, free_port, wait_for_port

ENVOY = Described(
    "envoy",
    "Envoy, reverse transcoder",
    "C++, one worker thread; leaves `data` wrapped, so answers come back empty; enums in the "
    "protos' words, no error details, no receipts",
)

_PROTOS = Path(__file__).parents[2] / "protos"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"

# How long compiling the protos may take, in seconds.
_COMPILE_S_MAX = 30.0


def start_envoy(processes: Processes, h2load: H2load, upstream_port: int) -> RpcContestant:
    """Start Envoy in front of an upstream."""
    port = free_port()
    config = processes.folder / "envoy.json"
    config.write_text(json.dumps(_config(port, upstream_port, _descriptors(processes))))
    process = processes.start(
        "envoy",
        [
            tools.program("envoy"),
            "--config-path",
            str(config),
            "--concurrency",
            "1",
            "--log-level",
            "warning",
            # Several on one machine would otherwise share memory for hot restarts.
            "--disable-hot-restart",
        ],
        {},
        measured=True,
    )
    wait_for_port(process, port)
    return RpcContestant(ENVOY, process, f"127.0.0.1:{port}", h2load, _verdict)


def _verdict(call: UnaryCall, answer: bytes) -> str | None:
    # That the call succeeded is all the answer tells: `data` is no field of the response. That it
    # went to the right path is told by the upstream, which refuses and does not count any other.
    call.response_class.FromString(answer)
    return None


def _descriptors(processes: Processes) -> Path:
    """Compile the protos, with everything they import, into a descriptor set."""
    output = processes.folder / "protos.bin"
    with as_file(files("google") / "api" / "annotations.proto") as annotations:
        googleapis = annotations.parents[2]
        processes.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={_PROTOS}",
                f"--proto_path={googleapis}",
                "--include_imports",
                f"--descriptor_set_out={output}",
                "conferencing/v1/conference_service.proto",
            ],
            _COMPILE_S_MAX,
        )
    return output


def _config(port: int, upstream_port: int, descriptors: Path) -> dict[str, Any]:
    connection_manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "HTTP2",
        "generate_request_id": False,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "upstream",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "transcoder",
                "typed_config": {
                    "@type": f"{_FILTERS}.http.grpc_json_reverse_transcoder.v3"
                    ".GrpcJsonReverseTranscoder",
                    "descriptor_path": str(descriptors),
                },
            },
            {
                "name": "router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            },
        ],
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "grpc",
                    "address": _address(port),
                    "filter_chains": [
                        {"filters": [{"name": "http", "typed_config": connection_manager}]}
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "upstream",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "upstream",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _address(upstream_port)}}]}
                        ],
                    },
                }
            ],
        }
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
