"""Signatures on webhooks: the provider's own headers, the Standard Webhooks ones, or both.

Both sign with the same Ed25519 key. They differ in what is signed: `{timestamp}|{body}` for the
provider's, `{id}.{timestamp}.{body}` for Standard Webhooks.
"""

import base64
from collections.abc import Collection

from nacl.signing import SigningKey

from gateway.sandbox.settings import SignatureScheme


class Signer:
    """Signs with one key, made from a seed of 32 bytes or newly generated."""

    def __init__(self, seed: bytes | None, schemes: Collection[SignatureScheme]) -> None:
        self._key = SigningKey(seed) if seed is not None else SigningKey.generate()
        self._schemes = frozenset(schemes)

    @property
    def public_key(self) -> str:
        """The 32 bytes that verify the signatures, in base64."""
        return base64.b64encode(bytes(self._key.verify_key)).decode()

    def headers(self, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers of one attempt. `timestamp` is in whole Unix seconds of real time."""
        headers: dict[str, str] = {}
        if "telnyx" in self._schemes:
            headers["telnyx-timestamp"] = str(timestamp)
            headers["telnyx-signature-ed25519"] = self._sign(f"{timestamp}|".encode() + body)
        if "standard" in self._schemes:
            signature = self._sign(f"{webhook_id}.{timestamp}.".encode() + body)
            headers["webhook-id"] = webhook_id
            headers["webhook-timestamp"] = str(timestamp)
            headers["webhook-signature"] = f"v1a,{signature}"
        return headers

    def _sign(self, content: bytes) -> str:
        return base64.b64encode(self._key.sign(content).signature).decode()
