"""Answers: the provider's 2xx documents to RPC responses."""

from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from conferencing.v1.common_pb2 import CommandReceipt
from gateway.codec.decoder import MessageDecoder, MismatchError
from gateway.codec.descriptors import fields_of, message_class_of
from gateway.telnyx.pages import Page

_INT32_MAX = 2**31 - 1


class AnswerShapeError(Exception):
    """A response message that does not say where the provider's result belongs."""


class AnswerDecoder:
    """Reads `{"data": ...}` into one kind of response. Compiled once from the response's class.

    A response holds a resource (one message field), or a page (one repeated message field,
    `next_page_token` and `total_size`), and beside or instead of it the receipt of a command.
    Raises AnswerShapeError at construction for any other response.
    """

    __slots__ = ("_class", "_has_receipt", "_is_list", "_resource", "_resource_field")

    def __init__(self, response_class: type[Message], *, is_command: bool) -> None:
        self._class = response_class
        fields = {field.name: field for field in fields_of(response_class)}
        receipt = fields.pop("receipt", None)
        self._has_receipt = receipt is not None
        if self._has_receipt != is_command:
            raise AnswerShapeError("a command has a receipt in its response, a query has none")
        self._is_list = {"next_page_token", "total_size"} <= fields.keys()
        if self._is_list:
            del fields["next_page_token"], fields["total_size"]
        if len(fields) > 1 or (not fields and not is_command):
            raise AnswerShapeError(
                f"{response_class.DESCRIPTOR.name} has {len(fields)} fields for one result"
            )
        self._resource_field = ""
        self._resource: MessageDecoder[Message] | None = None
        for field in fields.values():
            if field.type != FieldDescriptor.TYPE_MESSAGE or field.is_repeated != self._is_list:
                raise AnswerShapeError(f"{field.full_name} cannot hold the result")
            self._resource_field = field.name
            self._resource = MessageDecoder(message_class_of(field))

    def decode(self, body: bytes, receipt: CommandReceipt | None, page: Page | None) -> Message:
        """Return the response. Raises MismatchError or ValueError if the body cannot be read."""
        values: dict[str, Any] = {}
        if receipt is not None:
            values["receipt"] = receipt
        if self._resource is None and not body:
            return self._class(**values)
        document = orjson.loads(body)
        if type(document) is not dict:
            raise MismatchError("an object")
        data = document.get("data")
        if self._resource is None:
            if type(data) is dict and receipt is not None:
                receipt.result = str(data.get("result") or "")
        elif self._is_list:
            values[self._resource_field] = self._items(data)
            values |= _page_fields(document.get("meta"), page)
        else:
            values[self._resource_field] = self._item(data, "data")
        return self._class(**values)

    def _items(self, data: Any) -> list[Message]:
        if type(data) is not list:
            raise MismatchError("an array", "data")
        return [self._item(item, f"data[{index}]") for index, item in enumerate(data)]

    def _item(self, data: Any, path: str) -> Message:
        assert self._resource is not None
        try:
            return self._resource.decode(data)
        except MismatchError as mismatch:
            raise mismatch.below(path) from None


def _page_fields(meta: Any, page: Page | None) -> dict[str, Any]:
    if type(meta) is not dict or page is None:
        return {}
    total_pages, total_results = meta.get("total_pages"), meta.get("total_results")
    return {
        "next_page_token": page.next_token(total_pages) if type(total_pages) is int else "",
        # A total that the field cannot hold is no reason to lose the page.
        "total_size": min(total_results, _INT32_MAX) if type(total_results) is int else 0,
    }
