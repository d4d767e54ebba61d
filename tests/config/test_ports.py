"""Settings of the three addresses together: what guards each, and with which certificate."""

from pathlib import Path

import pytest

from gateway.ports import PORTS, Port
from tests.config.given import mistake, mistakes, settings
from tests.harness.certificates import Authority

CA = Authority()
SERVER = CA.server()


def given(port: Port, folder: Path) -> dict[str, str]:
    cert, key = SERVER.write(folder, "server")
    return {port.cert: str(cert), port.key: str(key)}


@pytest.mark.parametrize("port", PORTS, ids=lambda it: it.name)
def test_with_a_certificate_an_address_may_be_open(port: Port, tmp_path: Path) -> None:
    open_ = {port.address: "0.0.0.0:9"}
    tls = given(port, tmp_path)

    assert f"set {port.cert} and {port.key}, or {port.trust}=network" in mistake(**open_)
    (files,) = settings(**open_, **tls).tls_files()

    assert (files.port, files.cert.path, files.client_ca) == (port.name, Path(tls[port.cert]), None)
    client_ca = {port.client_ca: str(CA.write(tmp_path))}
    (mutual,) = settings(**open_, **tls, **client_ca).tls_files()
    assert mutual.client_ca is not None


@pytest.mark.parametrize("port", PORTS, ids=lambda it: it.name)
def test_half_of_a_pair_is_a_mistake(port: Port, tmp_path: Path) -> None:
    tls, ca = given(port, tmp_path), str(CA.write(tmp_path))
    open_ = {port.address: "0.0.0.0:9"}

    assert (
        mistake(**open_, **{port.cert: tls[port.cert]}) == f"{port.cert} is set without {port.key}"
    )
    assert mistake(**open_, **{port.key: tls[port.key]}) == f"{port.key} is set without {port.cert}"
    assert mistake(**{port.client_ca: ca}) == (
        f"{port.client_ca} is set without {port.cert} and {port.key}"
    )


def test_every_pair_that_nobody_can_be_served_with_is_named_at_once(tmp_path: Path) -> None:
    tls = {name: text for port in PORTS for name, text in given(port, tmp_path).items()}
    other = CA.server().write(tmp_path, "other")[1]
    tls |= {PORTS[0].key: str(other), PORTS[1].cert: "/nope"}

    assert mistakes(**tls) == [
        "GATEWAY_GRPC_TLS_KEY is not the key of the first certificate in GATEWAY_GRPC_TLS_CERT",
        "GATEWAY_HTTP_TLS_CERT names a file that cannot be read: No such file or directory",
    ]
