"""The commands `call`, `list` and `describe`: any RPC of a gateway, from a shell."""

import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import click
import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.client import description, error_text, errors, message_text, words
from gateway.client.api import Api, NameNotFoundError, path_of
from gateway.client.channel import Connection
from gateway.completing import described, rpcs
from gateway.connecting import connects
from gateway.output import say, tell, while_read
from gateway.running import run, until_signalled

# The exit code of a call that failed; that of wrong usage is click's own, 2.
_FAILED = 1
_USAGE = 2

# How long a call may take, in seconds, if nobody says: longer than the gateway gives a command that
# sets no deadline, so that its own word comes first.
_TIMEOUT_S = 15.0

_STANDARD_INPUT = "-"

# What metadata may be called by people, and be.
_METADATA = re.compile(r"(?!grpc-)(?!.*-bin$)[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")

Talk: TypeAlias = Callable[[Api, grpc.aio.Channel], Awaitable[None]]


@click.command()
@connects
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Deadline in seconds; default: {_TIMEOUT_S:g}, and none for streams.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each response as one line of JSON.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="NAME=VALUE",
    help="Metadata to send, such as x-request-id=deploy-7; repeatable.",
)
@click.argument("rpc", shell_complete=rpcs)
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE | -]...")
def call(
    connection: Connection,
    timeout: float | None,
    as_json: bool,
    metadata: Sequence[str],
    rpc: str,
    fields: Sequence[str],
) -> None:
    """Call an RPC, with the fields of its request.

    \b
    telnyx-gateway call MuteParticipants conference_id=... call_control_ids=...
    telnyx-gateway call Subscribe filter.types=call.enqueued position=earliest
    echo '{"queue_name": "support"}' | telnyx-gateway call GetQueue -

    A field of a message is named by its path, a repeated field once for each value. With -, the
    request is read as JSON from standard input first. See also: list, describe.
    """  # noqa: D301 - click asks for a real backspace before lines that it shall leave as they are
    sent = [_named(it) for it in metadata]
    given = sys.stdin.read() if _STANDARD_INPUT in fields else ""

    async def talk(api: Api, channel: grpc.aio.Channel) -> None:
        method = api.method(rpc)
        if method.client_streaming:
            raise ValueError(f"{method.name} takes a stream of requests, which this cannot send")
        request = GetMessageClass(method.input_type)()
        if given.strip():
            words.fill_from_json(request, given)
        words.fill(request, (it for it in fields if it != _STANDARD_INPUT))
        async for response in _responses(channel, method, request, timeout, sent):
            if as_json:
                say(MessageToJson(response, indent=None))
            else:
                _say_all(message_text.lines_of(response), method.server_streaming)

    _talk(connection, talk)


@click.command("list")
@connects
def list_(connection: Connection) -> None:
    """List the RPCs of a gateway."""

    async def talk(api: Api, channel: grpc.aio.Channel) -> None:
        for service in api.services:
            say(service.full_name)
            for method in service.methods:
                say(f"  {description.method_line(method)}")

    _talk(connection, talk)


@click.command()
@connects
@click.argument("name", shell_complete=described)
def describe(connection: Connection, name: str) -> None:
    """Describe an RPC, a message or an enum: its fields and their types."""

    async def talk(api: Api, channel: grpc.aio.Channel) -> None:
        if api.has_method(name):
            lines = description.method_lines(api.method(name))
        else:
            lines = description.type_lines(api.type(name))
        for line in lines:
            say(line)

    _talk(connection, talk)


def _talk(connection: Connection, talk: Talk) -> None:
    sys.exit(run(until_signalled(while_read(_told(connection, talk)))))


async def _told(connection: Connection, talk: Talk) -> int:
    """Talk to the gateway; what fails is told in words. Returns the exit code."""
    async with connection.open() as channel:
        try:
            await talk(await Api.reflected(channel), channel)
        except NameNotFoundError as error:
            tell(f"telnyx-gateway: {error}")
            tell("telnyx-gateway list shows the RPCs")
            return _USAGE
        except ValueError as error:
            tell(f"telnyx-gateway: {error}")
            return _USAGE
        except grpc.aio.AioRpcError as error:
            first, *rest = error_text.lines_of(errors.of(error), connection.address)
            tell(f"telnyx-gateway: {first}")
            for line in rest:
                tell(line)
            return _FAILED
    return 0


def _named(pair: str) -> tuple[str, str]:
    """Return the name and the value of a piece of metadata."""
    name, equals, value = pair.partition("=")
    # Names that end so have bytes as values; gRPC's own are not for callers to set.
    if not equals or not _METADATA.fullmatch(name.lower()) or not _VALUE.fullmatch(value):
        raise click.UsageError(
            f"--metadata {pair!r} is not NAME=VALUE, with a name of letters, digits, '-', '_' and"
            " '.' that neither begins with 'grpc-' nor ends with '-bin', and a printable value"
        )
    return name.lower(), value


async def _responses(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    request: Message,
    timeout: float | None,
    metadata: Sequence[tuple[str, str]],
) -> Any:
    path = f"/{path_of(method)}"
    decode = GetMessageClass(method.output_type).FromString
    encode = type(request).SerializeToString
    if method.server_streaming:
        stream = channel.unary_stream(path, encode, decode)
        async for response in stream(request, timeout=timeout, metadata=metadata):
            yield response
    else:
        unary = channel.unary_unary(path, encode, decode)
        limit = _TIMEOUT_S if timeout is None else timeout
        yield await unary(request, timeout=limit, metadata=metadata)


def _say_all(lines: Iterable[str], is_one_of_many: bool) -> None:
    told = False
    for line in lines:
        say(line)
        told = True
    if is_one_of_many:
        say("")
    elif not told:
        say("done")
