"""The files of an address's certificate, as somebody writes them."""

from pathlib import Path

from gateway.ports import GRPC
from gateway.tls.files import TlsFiles
from tests.harness.certificates import Issued


class Folder:
    """A folder with a certificate and its key, and perhaps a CA for clients."""

    def __init__(self, path: Path, issued: Issued, client_ca: bytes | None = None) -> None:
        self.cert, self.key = issued.write(path, "server")
        self.client_ca = path / "clients.pem"
        settings = {GRPC.cert: str(self.cert), GRPC.key: str(self.key)}
        if client_ca is not None:
            self.client_ca.write_bytes(client_ca)
            settings[GRPC.client_ca] = str(self.client_ca)
        files = GRPC.tls_files(settings)
        assert files is not None
        self.files: TlsFiles = files
        self._path = path

    def write(self, issued: Issued) -> None:
        issued.write(self._path, "server")
