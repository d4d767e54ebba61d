"""TLS as gRPC does it: asked for a certificate at each new connection."""

import grpc

from gateway.tls.credentials import Credentials
from gateway.tls.current import CurrentCredentials


def server_credentials(certificates: CurrentCredentials) -> grpc.ServerCredentials:
    """Return credentials that follow a certificate as it changes."""
    served = certificates.current

    def changed() -> grpc.ServerCertificateConfiguration:
        # gRPC calls this from threads of its own, for each connection.
        nonlocal served
        newest = certificates.current
        if newest is served:
            return None  # type: ignore[return-value]  # by its documentation: no change
        served = newest
        return _configuration(newest)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(served),
        changed,
        certificates.requires_client,
    )


def _configuration(credentials: Credentials) -> grpc.ServerCertificateConfiguration:
    pem = credentials.pem
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.chain)], pem.client_ca)
