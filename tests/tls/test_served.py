"""The certificates of all addresses together."""

from pathlib import Path

from gateway.tls.served import ServedCertificates
from tests.harness.certificates import Authority
from tests.tls.stage import Folder


def test_which_have_expired_is_told_from_the_moment_on_and_not_before(tmp_path: Path) -> None:
    served = ServedCertificates([Folder(tmp_path, Authority().server()).files])
    (expires,) = (expiry() for expiry in served.expiries.values())

    assert served.expired(expires - 1) is None
    assert served.expired(expires) == "the certificate has expired of: grpc"
    assert ServedCertificates([]).expired(expires) is None
