"""The protos in other languages: stubs are made as clients/README.md says, and then compiled.

Each test also finds a comment of the protos in what the generator made of it.
"""

import re
from pathlib import Path

from conferencing.v1.event_pb2 import EVENT_ORIGIN_LIVE, CallEnqueued, Event
from tests.harness.needs import with_go, with_tool
from tests.harness.toolchain import block, checkout, run, text_of

# Of Event.cursor, as far as one line of any language has it.
COMMENT = "The position just after this event"

# Of the RPC EventService.GetEvent, for generators that have no comments but on services.
RPC_COMMENT = "Returns one stored event by its id."

# An event with an oneof, an enum and a time, in hexadecimal digits.
EVENT = Event(
    id="e1",
    sequence=2**53 + 1,
    origin=EVENT_ORIGIN_LIVE,
    call_enqueued=CallEnqueued(queue="q"),
)
BYTES = EVENT.SerializeToString(deterministic=True).hex()


def stubs(language: str, heading: str) -> Path:
    """Do what the README says, and return the language's folder."""
    root = checkout(language)
    run(root, block(heading))
    return root / "clients" / language


@with_go
def test_go() -> None:
    folder = stubs("go", "Go")
    run(folder, "go vet ./...")

    assert COMMENT in text_of(folder, "gen/conferencing/v1/event.pb.go")
    # What the README calls the plugins' versions is what was committed: nothing was upgraded.
    for name in ("go.mod", "go.sum"):
        committed = Path(__file__).parents[2] / "clients" / "go" / name
        assert (folder / name).read_text() == committed.read_text()


@with_tool("mvn")
def test_java() -> None:
    folder = stubs("java", "Java")

    assert COMMENT in text_of(folder, "target/generated-sources/**/Event.java")
    classes = {it.stem for it in (folder / "target" / "classes").rglob("*.class")}
    assert {
        "Event",
        "EventProto",
        "EventServiceGrpc",
        "EventServiceGrpc$EventServiceStub",
    } < classes


@with_tool("npm")
def test_typescript() -> None:
    folder = stubs("typescript", "TypeScript")

    for made in ("gen/conferencing/v1/event.ts", "gen-es/conferencing/v1/event_pb.ts"):
        assert COMMENT in text_of(folder, made)
    assert "occurredAt: Timestamp | undefined" in text_of(folder, "gen/conferencing/v1/event.ts")


NODE = """
const { Subscribe } = EventService.service;
const empty = Subscribe.responseDeserialize(Buffer.alloc(0));
const event = Buffer.from("%s", "hex");
const one = Buffer.concat([Buffer.from([10, event.length]), event]);
const read = Subscribe.responseDeserialize(one);
const [{ sequence, origin, payload }] = read.events;
console.log(JSON.stringify(empty.events), sequence, origin, payload);
console.log(Subscribe.responseSerialize(read).subarray(2).toString("hex"));
events.close();
"""


@with_tool("npm")
def test_node_without_generated_code() -> None:
    root = checkout("typescript")
    (root / "index.cjs").write_text(block("Node without generated code", "js") + NODE % BYTES)

    # The packages are those of TypeScript's folder.
    run(root, "cd clients/typescript && (test -d node_modules || npm ci)")
    said = run(root, "NODE_PATH=clients/typescript/node_modules node index.cjs")

    assert said.split() == ["[]", f"{2**53 + 1}", "EVENT_ORIGIN_LIVE", "call_enqueued", BYTES]


@with_tool("cargo")
@with_tool("protoc")
def test_rust() -> None:
    folder = stubs("rust", "Rust")
    # Comments become documentation: no line of them may be taken for a test or a broken link.
    run(folder, "RUSTDOCFLAGS=-Dwarnings cargo doc --quiet --no-deps")

    assert COMMENT in text_of(folder, "target/doc/conferencing/v1/struct.Event.html")

    # The protos are outside of the package: cargo has to be told that they have changed.
    proto = folder.parents[1] / "protos" / "conferencing" / "v1" / "event.proto"
    proto.write_text(proto.read_text().replace(COMMENT, "The place just after this event"))
    run(folder.parents[1], block("Rust"))
    assert "The place just after" in text_of(folder, "target/debug/build/*/out/conferencing.v1.rs")


def test_python() -> None:
    folder = stubs("python", "Python")
    said = run(
        folder,
        "PYTHONPATH=gen python -c 'from conferencing.v1 import event_pb2, event_service_pb2_grpc;"
        " from conferencing.v1 import conference_service_pb2_grpc, queue_service_pb2_grpc;"
        f' event = event_pb2.Event.FromString(bytes.fromhex("{BYTES}"));'
        " print(event_pb2.__file__, event.SerializeToString(deterministic=True).hex())'",
    )

    file, encoded = said.split()
    assert Path(file).is_relative_to(folder / "gen") or file.startswith(str(folder))
    assert encoded == BYTES
    assert RPC_COMMENT in text_of(folder, "gen/conferencing/v1/event_service_pb2_grpc.py")


@with_tool("grpc_cpp_plugin")
@with_tool("g++")
def test_cpp() -> None:
    folder = stubs("cpp", "C++")

    assert RPC_COMMENT in text_of(folder, "gen/conferencing/v1/event_service.grpc.pb.h")


@with_tool("grpc_ruby_plugin")
@with_tool("ruby")
def test_ruby() -> None:
    folder = stubs("ruby", "Ruby")
    said = run(
        folder,
        'ruby -Igen -e \'Dir.glob("gen/conferencing/v1/*.rb").each { |it| require "./#{it}" };'
        f' event = Conferencing::V1::Event.decode(["{BYTES}"].pack("H*"));'
        ' puts event.sequence, event.payload, event.origin, event.to_proto.unpack1("H*");'
        " puts Conferencing::V1::EventService::Stub.instance_methods(false).include?(:get_event)'",
    )

    assert said.split() == [f"{2**53 + 1}", "call_enqueued", "EVENT_ORIGIN_LIVE", BYTES, "true"]
    assert RPC_COMMENT in text_of(folder, "gen/conferencing/v1/event_service_services_pb.rb")


PHP = """
spl_autoload_register(function ($class) {
    foreach (["gen", "/usr/share/php"] as $folder) {
        $file = $folder . "/" . str_replace("\\\\", "/", $class) . ".php";
        if (is_file($file)) { require $file; }
    }
});
foreach (glob("gen/Conferencing/V1/*.php") as $file) {
    // Clients need gRPC's own extension.
    if (str_ends_with($file, "Client.php")) { continue; }
    $class = "Conferencing\\\\V1\\\\" . basename($file, ".php");
    if (is_subclass_of($class, "Google\\\\Protobuf\\\\Internal\\\\Message")) { new $class(); }
}
$event = new Conferencing\\V1\\Event();
$event->mergeFromString(hex2bin("%s"));
echo $event->getPayload(), " ", Conferencing\\V1\\EventOrigin::name($event->getOrigin()), " ";
echo bin2hex($event->serializeToString());
"""


@with_tool("grpc_php_plugin")
@with_tool("php")
def test_php() -> None:
    folder = stubs("php", "PHP")
    (folder / "check.php").write_text("<?php" + PHP % BYTES)

    assert run(folder, "php check.php").split() == ["call_enqueued", "EVENT_ORIGIN_LIVE", BYTES]
    assert COMMENT in text_of(folder, "gen/Conferencing/V1/Event.php")
    assert "function GetEvent" in text_of(folder, "gen/Conferencing/V1/EventServiceClient.php")


@with_tool("protoc")
@with_tool("mcs")
def test_csharp() -> None:
    folder = stubs("csharp", "C#")

    made = text_of(folder, "gen/Event.cs")
    assert COMMENT in made
    assert "namespace Conferencing.V1 {" in made


@with_tool("protoc")
def test_objective_c() -> None:
    folder = stubs("objc", "Objective-C")

    header = text_of(folder, "gen/conferencing/v1/Event.pbobjc.h")
    assert COMMENT in header
    # What the README says of `id` holds for no other name.
    made = text_of(folder, "gen/conferencing/v1/*.pbobjc.h")
    assert set(re.findall(r"@property\(.+?\b(\w+_p);", made)) == {"id_p"}
