"""The rooms of `gateway/` and what may be imported where."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from conferencing.v1 import conference_service_pb2, event_service_pb2, queue_service_pb2
from conferencing.v1.event_pb2 import Event
from gateway.conference.ports import CONFERENCE_KEY
from gateway.schema.event_keys import declared_keys
from tests.rooms import MAY_IMPORT

ROOT = Path(__file__).parents[1]
GATEWAY = ROOT / "gateway"
DOCUMENT = ROOT / "docs" / "architecture.md"
MODULES = sorted(GATEWAY.rglob("*.py"))


# Errors get their status at the edge: these rooms serve any face.
WITHOUT_GRPC = {
    "callers",
    "conference",
    "details",
    "feed",
    "health",
    "ingest",
    "journal",
    "journal/jetstream",
    "journal/sqlite",
    "records",
    "schema",
    "upstream",
}

# Libraries that one module keeps to itself; the sandbox is a program of its own.
KEPT_BY = {
    "httpx": {"callers/fetching.py", "sandbox/posting.py"},
    "nats": {
        "journal/jetstream/broker.py",
        "journal/jetstream/credentials.py",
        "journal/jetstream/messages.py",
        "journal/jetstream/wire.py",
    },
    "jwt": {"callers/keys.py", "callers/webtokens.py"},
    "pyreqwest": {"upstream/transports/pyreqwest_transport.py"},
    "jsonschema": {"sandbox/schema_checks.py"},
    "nacl": {"ingest/webhooks/signature.py", "sandbox/signing.py"},
    "sqlite3": {
        "journal/sqlite/backup.py",
        "journal/sqlite/checking/blocks.py",
        "journal/sqlite/checking/check.py",
        "journal/sqlite/checking/events.py",
        "journal/sqlite/faults.py",
        "journal/sqlite/framed.py",
        "journal/sqlite/indexing.py",
        "journal/sqlite/key_columns.py",
        "journal/sqlite/opening.py",
        "journal/sqlite/postings.py",
        "journal/sqlite/reader.py",
        "journal/sqlite/reads.py",
        "journal/sqlite/renewal.py",
        "journal/sqlite/rows.py",
        "journal/sqlite/expiry.py",
        "journal/sqlite/schema.py",
        "journal/sqlite/threads.py",
        "journal/sqlite/upkeep.py",
        "journal/sqlite/writer.py",
    },
    "prometheus_client": {"telemetry/instruments.py"},
    "opentelemetry": {"telemetry/otel.py"},
    "requests": {"telemetry/otel.py"},
    "pydantic": {"config.py", "fields.py", "natssettings.py"},
    "click": {
        "calling.py",
        "cli.py",
        "completing.py",
        "connecting.py",
        "doctoring.py",
        "keeping.py",
        "output.py",
        "playing.py",
        "tailing.py",
    },
    "cryptography": {"callers/certificates.py", "callers/keys.py", "tls/credentials.py"},
}

# Where an RPC or an event may be named: what a conference goes through is no more than that, and
# the command line speaks to people. Everything else knows RPCs by their types and descriptors.
MAY_NAME = {"conference/state.py", "console/board.py", "client", "sandbox"}


@cache
def imports(module: Path) -> tuple[str, ...]:
    return tuple(_imports(module))


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            assert node.module is not None
            yield node.module


def room(module: Path) -> str:
    return room_of(module.relative_to(GATEWAY).with_suffix("").parts)


def room_of(parts: Sequence[str]) -> str:
    """Return the room of a module by its name: a folder, or a folder in it that is a room."""
    return "/".join(parts[:2]) if "/".join(parts[:2]) in MAY_IMPORT else parts[0]


@pytest.mark.parametrize("module", MODULES, ids=lambda it: str(it.relative_to(GATEWAY)))
def test_a_module_imports_only_what_its_room_may(module: Path) -> None:
    if room(module) not in MAY_IMPORT:
        assert room(module) in {"__init__", "__main__", "app", "cli"}
        return
    allowed = MAY_IMPORT[room(module)] | {room(module)}
    for name in imports(module):
        if name.startswith("gateway."):
            assert room_of(name.split(".")[1:]) in allowed, f"{module} imports {name}"


def test_a_room_may_import_nothing_that_it_does_not_use() -> None:
    used: dict[str, set[str]] = {name: set() for name in MAY_IMPORT}
    for module in MODULES:
        names = [name.split(".")[1:] for name in imports(module) if name.startswith("gateway.")]
        used.setdefault(room(module), set()).update(room_of(it) for it in names)

    assert {name: used[name] - {name} for name in MAY_IMPORT} == MAY_IMPORT


@pytest.mark.parametrize("of", ["journal", "server"])
def test_each_home_of_the_log_and_each_part_of_the_server_is_a_room(of: str) -> None:
    folders = {str(it.parent.relative_to(GATEWAY)) for it in (GATEWAY / of).glob("*/*.py")}

    assert folders == {name for name in MAY_IMPORT if name.startswith(f"{of}/")}


def test_the_drawing_has_each_room_above_those_that_it_imports() -> None:
    shown = DOCUMENT.read_text().split("```text drawing\n")[1].split("```")[0]
    drawing = re.sub(r"\(.*?\)", "", shown)
    lines = [re.findall(r"[a-z]\S*", line) for line in drawing.splitlines()]
    height = {name: -number for number, line in enumerate(lines) for name in line}

    assert sorted(it for line in lines for it in line) == sorted([*MAY_IMPORT, "app", "cli"])
    for name, below in MAY_IMPORT.items():
        assert [it for it in below if height[it] >= height[name]] == [], name


def test_every_file_that_the_document_names_exists() -> None:
    paths = re.findall(r"`([\w*.-]+/[\w*./-]*)`", DOCUMENT.read_text())

    assert paths
    assert [it for it in paths if not [*ROOT.glob(it), *GATEWAY.glob(it)]] == []


def test_the_table_shows_what_each_room_imports() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|[^|]*\|([^|]*)\|$", DOCUMENT.read_text(), re.MULTILINE)
    shown = {
        name: set(re.findall(r"`([^`]*)`", may))
        for names, may in rows
        for name in re.findall(r"`([^`]*)`", names)
        if name in MAY_IMPORT
    }

    assert shown == MAY_IMPORT


def test_no_room_knows_itself_by_way_of_others() -> None:
    order = list(TopologicalSorter(MAY_IMPORT).static_order())  # raises CycleError

    assert order.index("values") < order.index("upstream") < order.index("ingest")


@pytest.mark.parametrize("without", sorted(WITHOUT_GRPC))
def test_rooms_below_the_rpc_face_do_not_know_grpc(without: str) -> None:
    modules = [module for module in MODULES if room(module) == without]

    assert modules
    for module in modules:
        used = {name.split(".")[0] for name in imports(module)}
        assert not used & {"grpc", "grpc_status"}, module


def rpcs_and_events() -> set[str]:
    """Return the names of all RPCs and event types, the latter with underscores."""
    files = (conference_service_pb2, event_service_pb2, queue_service_pb2)
    services = [it for file in files for it in file.DESCRIPTOR.services_by_name.values()]
    payloads = Event.DESCRIPTOR.oneofs_by_name["payload"].fields
    return {method.name for service in services for method in service.methods} | {
        it.name for it in payloads if "_" in it.name
    }


def words_of(module: Path) -> Iterator[str]:
    """Return all words in the strings of a module, event types as one word; not its docstrings."""
    tree = ast.parse(module.read_text())
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield from re.findall(r"\w+", node.value.replace(".", "_"))
        elif isinstance(node, ast.Attribute):
            yield node.attr


@pytest.mark.parametrize("module", MODULES, ids=lambda it: str(it.relative_to(GATEWAY)))
def test_no_module_names_an_rpc_or_an_event(module: Path) -> None:
    path = module.relative_to(GATEWAY)
    if not MAY_NAME.isdisjoint((str(path), path.parts[0])):
        return

    assert rpcs_and_events().isdisjoint(words_of(module))


def test_a_gateway_of_a_real_provider_loads_nothing_of_the_sandbox() -> None:
    shows = "import gateway.cli, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", shows], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "gateway.app" in loaded
    assert not [it for it in loaded if it.startswith(("gateway.sandbox", "jsonschema"))]


@pytest.mark.parametrize("module", MODULES, ids=lambda it: str(it.relative_to(GATEWAY)))
def test_no_module_names_a_key_of_events(module: Path) -> None:
    """The protos declare them; a conference's own key stands in one constant."""
    path = module.relative_to(GATEWAY)
    if path.parts[0] in {"client", "sandbox"}:
        return
    names = {it.name for it in declared_keys() if "_" in it.name}
    literals = {
        node.value
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    expected = {CONFERENCE_KEY} if str(path) == "conference/ports.py" else set[str]()
    assert names & literals == expected


@pytest.mark.parametrize(("library", "keepers"), KEPT_BY.items())
def test_a_library_is_imported_where_it_belongs(library: str, keepers: set[str]) -> None:
    users = {
        str(module.relative_to(GATEWAY))
        for module in MODULES
        if any(name.split(".")[0] == library for name in imports(module))
    }

    assert users == keepers


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(module.relative_to(GATEWAY))
        for module in MODULES
        if "os.environ" in module.read_text() or "getenv" in module.read_text()
    }

    # The health check loads nothing that it does not need, so not the settings either.
    assert readers == {"config.py", "healthcheck.py"}


def test_modules_stay_small() -> None:
    large = {
        str(module.relative_to(GATEWAY)): lines
        for module in MODULES
        if (lines := len(module.read_text().splitlines())) > 350
    }

    assert large == {}


def test_nothing_generated_takes_the_name_of_an_installed_package() -> None:
    assert [path.name for path in (ROOT / "generated").iterdir() if path.name != "__pycache__"] == [
        "conferencing"
    ]
