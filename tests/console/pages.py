"""The console's pages, asked as a browser asks for them."""

import http.client
import json
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson


def decoded(message: Any) -> Any:
    """A message as a page reads it."""
    return orjson.loads(orjson.dumps(message))


class Shown(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.value["error"]["reason"])


def basic(token: str) -> dict[str, str]:
    """What a browser sends whose user has given a token as the password."""
    return {"authorization": f"Basic {b64encode(f'me:{token}'.encode()).decode()}"}


def asked(
    address: str,
    path: str = "/console",
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    tls: ssl.SSLContext | None = None,
) -> Shown:
    connection = _connection(address, tls)
    try:
        connection.request(
            "GET" if body is None else "POST",
            path,
            None if body is None else json.dumps(body),
            dict(headers or {}),
        )
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Shown(response.status, found, response.read())
    finally:
        connection.close()


def streamed(
    address: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Any]:
    """Yield the messages of a stream, until it ends or nobody wants more."""
    connection = _connection(address, tls)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        assert response.status == 200
        while line := response.readline():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))
    finally:
        connection.close()


def _connection(address: str, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(address, timeout=20)
    return http.client.HTTPSConnection(address, timeout=20, context=tls)
