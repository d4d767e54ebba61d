"""Settings by their environment variables, and the mistakes in them."""

from gateway.config import Settings, SettingsError, load_settings
from tests.harness.webhooks import Signer

KEY, OTHER_KEY = Signer().public_key, Signer(2).public_key
GOOD = {"TELNYX_API_KEY": "KEY0123", "TELNYX_PUBLIC_KEY": KEY}

DURATIONS = sorted(
    str(field.alias) for field in Settings.model_fields.values() if field.annotation is float
)


def mistakes(**env: str) -> list[str]:
    try:
        load_settings({**GOOD, **env})
    except SettingsError as error:
        return str(error).splitlines()
    return []


def mistake(**env: str) -> str:
    (found,) = mistakes(**env)
    return found


def settings(**env: str) -> Settings:
    return load_settings({**GOOD, **env})
