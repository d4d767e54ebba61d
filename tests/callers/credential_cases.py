"""What happens to credentials, step by step: the cases of the table in `docs/security.md`."""

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import jwt

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.callers.webtokens import LEEWAY_S
from tests.harness.callers import bearer, digest, entry, with_token
from tests.harness.certificates import Authority
from tests.harness.gateway import Failure
from tests.harness.issuer import AUDIENCE, NAME, Key, claims
from tests.harness.loop import LoopThread
from tests.harness.mutual import PROXIES, SPIFFE, Mutual, Shown, forwarded
from tests.harness.readiness import until

OLD, NEW, STRANGE = Key("old"), Key("new"), Key("old")

SERVED, NO_CONNECTION, GOES_ON = "served", "no new connection", "goes on"

# How long what is to expire is good for, in seconds: long enough to open a stream with it.
GOOD_S = 4

URI = f"Hash=x;URI={SPIFFE}desk"
KNOWN_BY_NAME = entry("desk", "reader", f'spiffe = "{SPIFFE}desk"')
KNOWN_BY_JWT = entry("desk", "reader", f'issuer = "{NAME}", subject = "desk"')
SOMEBODY = with_token("somebody", "reader", "else")


class Stage(Mutual):
    """The gateway, and what somebody shows who is nobody, or a proxy."""

    def __init__(self, loop: LoopThread, start: Any, folder: Path) -> None:
        super().__init__(loop, start, folder, OLD)
        self.nobody = self.authority.client("nobody.svc")
        self.proxy = self.authority.client("envoy.svc")

    def token(self, *texts: str) -> Shown:
        return Shown(self.nobody, tuple(it for text in texts for it in bearer(text)))

    def certificate(self, *names: str, **more: Any) -> Shown:
        more = more if names else {"uris": [f"{SPIFFE}desk"], **more}
        return Shown(self.authority.client(*names, **more))

    def through(self, text: str) -> Shown:
        return Shown(self.proxy, forwarded(text))

    def call(self, shown: Shown, channel: grpc.Channel | None = None) -> str:
        """How a call ends, by default on a connection of its own."""
        events = EventServiceStub(channel or self.connect(shown))
        try:
            events.GetFeedInfo(GetFeedInfoRequest(), metadata=shown.metadata, timeout=20)
        except grpc.RpcError as error:
            return _end(error)
        return SERVED

    def open(self, shown: Shown, channel: grpc.Channel | None = None) -> tuple[Any, str]:
        """A stream, and how it has begun."""
        events = EventServiceStub(channel or self.connect(shown))
        stream = events.Subscribe(SubscribeRequest(), metadata=shown.metadata, timeout=60)
        try:
            next(stream)
        except grpc.RpcError as error:
            return stream, _end(error)
        return stream, SERVED

    def until_refused(self, shown: Shown) -> None:
        until(lambda: self.call(shown) != SERVED)

    def until_served(self, shown: Shown) -> None:
        until(lambda: self.call(shown) == SERVED)

    def fate(self, stream: Any) -> str:
        """What becomes of a stream: it gets the next event, or how it ends."""
        self.end_revoked()
        wanted = self.gateway.webhooks.event()
        try:
            while wanted not in [it.id for it in next(stream).events]:
                pass
        except grpc.RpcError as error:
            return _end(error)
        stream.cancel()
        return GOES_ON


def _end(error: Any) -> str:
    failure = Failure(error)
    if failure.code is grpc.StatusCode.UNAVAILABLE and not failure.status:
        return NO_CONNECTION
    assert failure.code is grpc.StatusCode.UNAUTHENTICATED
    return str(failure.info.reason)


# Each yields what the stream of before is opened with, if anything can be, then what is shown.
Case: TypeAlias = Callable[[Stage], Iterator[Any]]
CASES: dict[tuple[str, str], Case] = {}


def case(credential: str, what: str) -> Callable[[Case], Case]:
    def add(steps: Case) -> Case:
        assert (credential, what) not in CASES
        CASES[credential, what] = steps
        return steps

    return add


@case("token", "stolen: its SHA-256, from the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(with_token("desk", "reader", "secret"))
    yield None
    yield [stage.token(digest("secret"))]


@case("token", "expired: it has no end of its own")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(with_token("desk", "reader", "secret"))
    yield stage.token("secret")
    yield [stage.token("secret")]


@case("token", "revoked: taken from the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(with_token("desk", "reader", "secret", "other"))
    yield stage.token("secret")
    stage.put(with_token("desk", "reader", "other"))
    yield [stage.token("secret")]


@case("token", "rotated: a second one beside it in the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(with_token("desk", "reader", "secret"))
    yield stage.token("secret")
    stage.put(with_token("desk", "reader", "secret", "second"))
    yield [stage.token("secret"), stage.token("second")]


@case("token", "malformed: of another scheme, empty, two of them, or with more behind it")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(with_token("desk", "reader", "secret"))
    yield None
    yield [
        Shown(stage.nobody, (("authorization", "Basic secret"),)),
        Shown(stage.nobody, (("authorization", "secret"),)),
        *(stage.token(it) for it in ("", "secret x", "secret,secret", "secre", "Bearer secret")),
        stage.token("secret", "secret"),
    ]


@case("certificate", "stolen: its name, written into `x-forwarded-client-cert`")
@case("forwarded certificate", "stolen: the header, sent by who is no proxy")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    yield None
    yield [Shown(stage.nobody, forwarded(it)) for it in (URI, f"{URI},{URI}")]


@case("certificate", "expired")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(KNOWN_BY_NAME)
    short = stage.certificate(expires_in=timedelta(seconds=GOOD_S))
    yield short
    stage.until_refused(short)
    yield [short]


@case("certificate", "revoked: its name is taken from the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(KNOWN_BY_NAME)
    shown = stage.certificate()
    yield shown
    stage.put(SOMEBODY)
    yield [shown]


@case("certificate", "revoked: its CA is replaced")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(KNOWN_BY_NAME)
    shown = stage.certificate()
    yield shown
    stage.trust(Authority("new"))
    yield [shown]
    stage.trust(stage.authority)


@case("certificate", "rotated: a new one with the same name")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(KNOWN_BY_NAME)
    yield stage.certificate()
    yield [stage.certificate()]


@case("certificate", "rotated: a new one of a new CA beside the old one")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(KNOWN_BY_NAME)
    yield stage.certificate()
    new = Authority("new")
    stage.trust(stage.authority, new)
    yield [stage.certificate(), Shown(new.client(uris=[f"{SPIFFE}desk"]))]
    stage.trust(stage.authority)


@case("certificate", "malformed: of another CA")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(KNOWN_BY_NAME)
    yield None
    # By its name it is the same CA.
    yield [Shown(Authority("test CA").client(uris=[f"{SPIFFE}desk"]))]


@case("certificate", "malformed: a wildcard, two SPIFFE ids, or no name at all")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(entry("desk", "reader", f'spiffe = "{SPIFFE}desk"', 'dns = "*.desk.svc"'))
    yield None
    yield [
        stage.certificate("*.desk.svc"),
        stage.certificate(uris=[f"{SPIFFE}desk", f"{SPIFFE}other"]),
        stage.certificate(uris=[f"{SPIFFE}desk/"]),
        stage.certificate("10.0.0.1"),
    ]


@case("JWT", "stolen: one for another service")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    yield None
    others: tuple[Any, ...] = ("billing", f"{AUDIENCE}x", [], ["billing", "mail"])
    yield [stage.token(OLD.sign(claims(aud=it))) for it in others]


@case("JWT", "stolen: the issuer's public key, to sign with as if it were a secret")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    yield None
    yield [
        stage.token(_signed_by_secret(secret, {"alg": "HS256", "typ": "JWT", "kid": OLD.id}))
        for secret in (OLD.public_pem, OLD.public_pem.strip())
    ]


@case("JWT", "expired")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    short = stage.token(OLD.sign(claims(exp=int(time.time() - LEEWAY_S) + GOOD_S)))
    yield short
    stage.until_refused(short)
    yield [short, stage.token(OLD.sign(claims(exp=1)))]


@case("JWT", "revoked: its caller is taken from the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    shown = stage.token(OLD.sign(claims()))
    yield shown
    stage.put(stage.issuer, SOMEBODY)
    yield [shown]


@case("JWT", "revoked: its issuer withdraws the key")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    shown = stage.token(OLD.sign(claims()))
    yield shown
    stage.publish(NEW)
    stage.until_refused(shown)
    yield [shown, stage.token(OLD.sign(claims(jti="another")))]
    stage.publish(OLD)
    stage.until_served(shown)


@case("JWT", "rotated: a new key beside the old one")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    shown, new = stage.token(OLD.sign(claims())), stage.token(NEW.sign(claims()))
    yield shown
    stage.publish(OLD, NEW)
    stage.until_served(new)
    yield [shown, new, stage.token(OLD.sign(claims(jti="another")))]
    stage.publish(OLD)


@case("JWT", "malformed: unsigned, changed, of another key, without an end, or not valid yet")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(stage.issuer, KNOWN_BY_JWT)
    yield None
    head, body, signature = OLD.sign(claims(subject="other")).split(".")
    changed = jwt.encode(claims(), "x" * 32, headers={"kid": OLD.id}).split(".")[1]
    texts = [
        jwt.encode(claims(), "", "none", {"kid": OLD.id}),
        f"{head}.{body}.",
        f"{head}.{changed}.{signature}",
        STRANGE.sign(claims()),
        OLD.sign(claims(exp=None)),
        OLD.sign(claims(exp="never")),
        OLD.sign(claims(nbf=int(time.time()) + 600)),
        OLD.sign(claims(iss="https://other.example")),
        OLD.sign(claims(sub=["desk"])),
        OLD.sign(claims(), crit=["exp"]),
        f"{head}.{body}",
        "a.b.c",
        f"{urlsafe_b64encode(b'[]').decode()}.{body}.{signature}",
    ]
    yield [stage.token(it) for it in texts]


@case("forwarded certificate", "expired: the proxy's own")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    short = stage.authority.client("envoy.svc", expires_in=timedelta(seconds=GOOD_S))
    shown = Shown(short, forwarded(URI))
    yield shown
    stage.until_refused(shown)
    yield [shown]


@case("forwarded certificate", "revoked: its name is taken from the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    yield stage.through(URI)
    stage.put(PROXIES, SOMEBODY)
    yield [stage.through(URI)]


@case("forwarded certificate", "revoked: the proxy is taken from the file")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    yield stage.through(URI)
    stage.put(KNOWN_BY_NAME)
    yield [stage.through(URI)]


@case("forwarded certificate", "rotated: a new one for the proxy")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    yield stage.through(URI)
    yield [Shown(stage.authority.client("envoy.svc"), forwarded(URI)), stage.through(URI)]


@case("forwarded certificate", "malformed: an open quote, no value, or something behind it")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    yield None
    yield [stage.through(it) for it in (f'Subject="x;{URI}', f"{URI};DNS", f'{URI};Hash="a"b')]


@case("forwarded certificate", "missing: the proxy names nobody")
def _(stage: Stage) -> Iterator[Any]:
    stage.put(PROXIES, KNOWN_BY_NAME)
    yield None
    yield [Shown(stage.proxy)]


def _signed_by_secret(secret: bytes, header: dict[str, str]) -> str:
    """A JWT whose signature is an HMAC, which libraries refuse to make of a public key."""
    algorithm = jwt.get_algorithm_by_name("HS256")
    body = jwt.encode(claims(), "x" * 32).split(".")[1]
    signed = f"{urlsafe_b64encode(repr(header).replace(chr(39), chr(34)).encode()).decode()}.{body}"
    signature = algorithm.sign(signed.encode(), secret)
    return f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"
