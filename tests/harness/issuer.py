"""An issuer of JWTs: real keys, and a real HTTP server that publishes them."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NAME, AUDIENCE = "https://id.example.org", "telnyx-gateway"


class Key:
    """A key pair with its id; `kind` is RSA, EC or OKP."""

    def __init__(self, id_: str, kind: str = "EC") -> None:
        self.id = id_
        self.private: Any
        match kind:
            case "RSA":
                self.private, self._algorithm = rsa.generate_private_key(65_537, 2_048), "RS256"
                public = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            case "OKP":
                self.private, self._algorithm = ed25519.Ed25519PrivateKey.generate(), "EdDSA"
                public = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            case _:
                self.private, self._algorithm = ec.generate_private_key(ec.SECP256R1()), "ES256"
                public = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        self.public = {**public, "kid": id_, "use": "sig"}

    @property
    def public_pem(self) -> bytes:
        found: bytes = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return found

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        headers = {name: it for name, it in {"kid": self.id, **header}.items() if it is not None}
        return jwt.encode(
            dict(claims), self.private, header.get("alg", self._algorithm), headers=headers
        )


def claims(subject: str = "desk", **other: Any) -> dict[str, Any]:
    """What a token says that is valid for an hour; None takes a claim away."""
    now = int(time.time())
    found = {"iss": NAME, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3_600, **other}
    return {name: it for name, it in found.items() if it is not None}


def jwks(*keys: Key) -> bytes:
    return json.dumps({"keys": [it.public for it in keys]}).encode()


class IssuerServer:
    """Publishes keys; a test may change them, let requests fail, and hold them back."""

    def __init__(self, *keys: Key) -> None:
        self.body = jwks(*keys)
        self.status = 200
        self.requests = 0
        self.asked = threading.Event()
        # Requests wait for it.
        self.responds = threading.Event()
        self.responds.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                server.asked.set()
                server.responds.wait(20)
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def publish(self, *keys: Key) -> None:
        self.body = jwks(*keys)

    def close(self) -> None:
        self.responds.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def issuer_entry(keys_at: str, name: str = NAME, audience: str = AUDIENCE) -> str:
    """An issuer as it stands in the callers file."""
    return f'[issuers."{name}"]\naudience = "{audience}"\njwks = "{keys_at}"\n'
