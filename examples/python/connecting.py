"""How both programs reach the gateway: in clear, or in TLS with a token."""

import argparse
from pathlib import Path

import grpc


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that both programs have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--tls-ca", type=Path, help="CA certificates to know the gateway by")
    parser.add_argument("--token-file", type=Path, help="file of a bearer token; needs --tls-ca")
    return parser


def credentials(chosen: argparse.Namespace) -> grpc.ChannelCredentials | None:
    """Return what a secure channel needs; None for one in clear, on which no token is sent."""
    if chosen.tls_ca is None:
        if chosen.token_file is not None:
            raise SystemExit("--token-file needs --tls-ca: a token is not sent in clear")
        return None
    tls = grpc.ssl_channel_credentials(chosen.tls_ca.read_bytes())
    if chosen.token_file is None:
        return tls
    token = grpc.metadata_call_credentials(_Token(chosen.token_file))
    return grpc.composite_channel_credentials(tls, token)


class _Token(grpc.AuthMetadataPlugin):
    """Sends the file's text with each call, and reads it anew, so that it may be replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        callback((("authorization", f"Bearer {self._path.read_text().strip()}"),), None)
