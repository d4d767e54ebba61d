"""What a sandbox is started with."""

from dataclasses import dataclass
from typing import Literal

SignatureScheme = Literal["telnyx", "standard"]

# Calls that exist from the start, under ids a person can type.
_STANDING_CALLS = ("v3:sandbox-alice", "v3:sandbox-bob", "v3:sandbox-carol")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Everything about a sandbox that does not change while it runs.

    Raises ValueError at construction when a value makes no sense.
    """

    host: str = "127.0.0.1"
    # TCP port; 0 lets the system choose a free one.
    port: int = 0
    # Where webhooks are posted. Without it events are only kept in the delivery log.
    webhook_url: str | None = None
    # Tried when `webhook_url` does not respond with a 2xx status.
    failover_url: str | None = None
    # The only keys accepted; empty accepts every key that is not in `rejected_api_keys`.
    api_keys: tuple[str, ...] = ()
    # Keys that are refused whatever `api_keys` says: a revoked key, for instance.
    rejected_api_keys: tuple[str, ...] = ()
    # 32 bytes the Ed25519 key is made from; without them a new key is made at every start.
    signing_seed: bytes | None = None
    # Header sets put on webhooks: the provider's own, the Standard Webhooks ones, or both.
    signature_schemes: tuple[SignatureScheme, ...] = ("telnyx",)
    # Sandbox seconds that pass in one real second. Not used with `manual_clock`.
    speed: float = 1.0
    # Time stands still until `POST /_sandbox/clock/advance` moves it.
    manual_clock: bool = False
    # Call control ids that exist from the start.
    calls: tuple[str, ...] = _STANDING_CALLS
    # First attempts in flight at once; 1 keeps them in the order of what happened.
    webhook_concurrency: int = 1
    # Real seconds a webhook receiver has to respond before the attempt has failed.
    webhook_timeout_seconds: float = 5.0
    # Requests, and executions, remembered; the oldest are forgotten first.
    journal_size: int = 100_000
    # Finished webhook deliveries remembered; the oldest are forgotten first.
    delivery_log_size: int = 10_000

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError(f"speed must be above 0, got {self.speed}")
        if self.webhook_concurrency < 1:
            raise ValueError(
                f"webhook_concurrency must be at least 1, got {self.webhook_concurrency}"
            )
        if self.webhook_timeout_seconds <= 0:
            raise ValueError(
                f"webhook_timeout_seconds must be above 0, got {self.webhook_timeout_seconds}"
            )
        if self.journal_size < 1 or self.delivery_log_size < 1:
            raise ValueError("journal_size and delivery_log_size must be at least 1")
        if self.signing_seed is not None and len(self.signing_seed) != 32:
            raise ValueError(f"signing_seed must be 32 bytes, got {len(self.signing_seed)}")
        unknown = set(self.signature_schemes) - {"telnyx", "standard"}
        if unknown:
            raise ValueError(
                f"signature_schemes may hold 'telnyx' and 'standard', got {sorted(unknown)}"
            )
