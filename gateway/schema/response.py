"""Responses: the provider's 2xx documents to responses of RPCs."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from conferencing.v1.common_pb2 import CommandReceipt, Unreadable, UnreadableValue
from gateway.schema.decoder import MessageDecoder, MismatchError, whole_number
from gateway.schema.descriptors import fields_of, message_class_of
from gateway.schema.pages import RequestedPage

_INT32_MAX = 2**31 - 1

# The most items that a page may have. Nobody asks for more than 250, which is also the most that
# the provider makes.
ITEMS_MAX = 1_000

# How many of the values that cannot be read a response names; the rest is counted.
_NAMED_MAX = 10

# The fields that stand beside the resource in a response.
_BESIDE = frozenset({"receipt", "next_page_token", "total_size", "unreadable"})


class ResponseShapeError(Exception):
    """A response message that does not say where the provider's result belongs."""


class ResponseDecoder:
    """Reads `{"data": ...}` into one kind of response. Compiled once from the response's class.

    A response holds a resource (one message field), or a page (one repeated message field,
    `next_page_token` and `total_size`), both with `unreadable`, and beside or instead of it the
    receipt of a command. `expects_body` is false for operations that the provider responds to with
    nothing. Raises ResponseShapeError at construction for any other response.
    """

    __slots__ = ("_class", "_is_list", "_resource", "_resource_field", "expects_body")

    def __init__(
        self, response_class: type[Message], *, is_command: bool, expects_body: bool
    ) -> None:
        self._class = response_class
        names = {field.name for field in fields_of(response_class)}
        if ("receipt" in names) != is_command:
            raise ResponseShapeError("a command has a receipt in its response, a query has none")
        self._is_list = {"next_page_token", "total_size"} <= names
        fields = [field for field in fields_of(response_class) if field.name not in _BESIDE]
        if len(fields) > 1 or (not fields and not is_command):
            raise ResponseShapeError(
                f"{response_class.DESCRIPTOR.name} has {len(fields)} fields for one result"
            )
        if bool(fields) != ("unreadable" in names):
            raise ResponseShapeError("a response has `unreadable` if there is something to read")
        self.expects_body = expects_body or bool(fields)
        self._resource_field = ""
        self._resource: MessageDecoder[Message] | None = None
        for field in fields:
            if field.type != FieldDescriptor.TYPE_MESSAGE or field.is_repeated != self._is_list:
                raise ResponseShapeError(f"{field.full_name} cannot hold the result")
            self._resource_field = field.name
            self._resource = MessageDecoder(message_class_of(field))

    def decode(
        self, document: dict[str, Any], receipt: CommandReceipt | None, page: RequestedPage | None
    ) -> Message:
        """Return the response, with what of the document can be read.

        Raises MismatchError if it has another type of `data` than the operation.
        """
        values: dict[str, Any] = {}
        if receipt is not None:
            values["receipt"] = receipt
        data = document.get("data")
        problems: list[MismatchError] = []
        if self._resource is None:
            if receipt is not None:
                receipt.result = _word(data.get("result") if type(data) is dict else data)
        elif self._is_list:
            assert page is not None
            if data is None:
                problems.append(MismatchError("an array", "data"))
                data = []
            if type(data) is not list:
                raise MismatchError("an array", "data")
            if len(data) > ITEMS_MAX:
                raise MismatchError(f"an array of at most {ITEMS_MAX} items", "data")
            meta = document.get("meta")
            part, values["next_page_token"] = page.read(len(data), meta)
            values[self._resource_field] = self._items(data[part], part.start or 0, problems)
            values["total_size"] = _total(meta, problems)
        elif data is None and receipt is not None:
            # The command ran; its effects come after the receipt's cursor.
            problems.append(MismatchError("an object", "data"))
        else:
            values[self._resource_field] = self._item(data, problems)
        if problems:
            values["unreadable"] = _note(problems)
        return self._class(**values)

    def _items(self, items: list[Any], first: int, problems: list[MismatchError]) -> list[Message]:
        assert self._resource is not None
        try:
            return [self._resource.decode(item) for item in items]
        except (MismatchError, UnicodeEncodeError):
            read = [
                self._resource.decode_leniently(item, f"data[{index}]", problems)
                for index, item in enumerate(items, first)
            ]
            return [item for item in read if item is not None]

    def _item(self, data: Any, problems: list[MismatchError]) -> Message:
        assert self._resource is not None
        try:
            return self._resource.decode(data)
        except (MismatchError, UnicodeEncodeError):
            read = self._resource.decode_leniently(data, "data", problems)
            if read is None:
                raise MismatchError("an object", "data") from None
            return read


def _word(value: Any) -> str:
    # Half of a surrogate pair, which JSON may hold and protobuf may not, becomes a question mark.
    return value.encode("utf-8", "replace").decode() if type(value) is str else ""


def _total(meta: Any, problems: list[MismatchError]) -> int:
    if type(meta) is not dict:
        if meta is not None:
            problems.append(MismatchError("an object", "meta"))
        return 0
    for name in ("total_pages", "total_results"):
        count = meta.get(name)
        if count is not None and whole_number(count) is None:
            problems.append(MismatchError("a whole number", f"meta.{name}"))
    # A total that the field cannot hold is no reason to lose the page.
    return min(whole_number(meta.get("total_results")) or 0, _INT32_MAX)


def _note(problems: list[MismatchError]) -> Unreadable:
    named = [UnreadableValue(path=it.path, expected=it.expected) for it in problems[:_NAMED_MAX]]
    return Unreadable(count=len(problems), values=named)
