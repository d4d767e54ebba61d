"""Settings whose text is in a file: `NAME_FILE`."""

from pathlib import Path

import pytest

from gateway.config import SettingsError, file_names, load_settings, read_value
from gateway.names import unread
from gateway.textfiles import overlaid
from tests.config.given import GOOD, KEY, OTHER_KEY, mistake, mistakes, settings

FILED = {
    "TELNYX_API_KEY": "KEY0123",
    "TELNYX_PUBLIC_KEY": KEY,
    "GATEWAY_UPSTREAM_PROXY": "http://someone:secret@proxy:3128",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_every_secret_can_be_in_a_file() -> None:
    assert file_names() == {name: f"{name}_FILE" for name in FILED}


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n\n"])
@pytest.mark.parametrize("name", FILED)
def test_a_text_in_a_file_is_that_text_and_the_line_end_does_not_count(
    name: str, end: str, path: Path
) -> None:
    path.write_text(FILED[name] + end)
    env = {**GOOD, name: "", f"{name}_FILE": str(path)}

    loaded = load_settings(env)

    assert loaded.value(name) == load_settings({**GOOD, name: FILED[name]}).value(name)
    assert loaded.files == {name: path}


@pytest.mark.parametrize("end", ["\n", "\r\n", ",\n"])
def test_public_keys_in_a_file_may_have_a_line_each(end: str, path: Path) -> None:
    path.write_text(f"{KEY}{end}{OTHER_KEY}{end}")

    found = settings(TELNYX_PUBLIC_KEY="", TELNYX_PUBLIC_KEY_FILE=str(path)).public_keys

    assert found == settings(TELNYX_PUBLIC_KEY=f"{KEY},{OTHER_KEY}").public_keys


def test_a_setting_and_a_file_for_it_are_one_too_many(path: Path) -> None:
    path.write_text("KEY0123")

    assert mistake(TELNYX_API_KEY_FILE=str(path)) == (
        "TELNYX_API_KEY_FILE is set and TELNYX_API_KEY as well: leave one of them out"
    )


def test_what_is_wrong_with_a_file_is_said_with_its_name(path: Path) -> None:
    def found(content: bytes | None) -> str:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        return mistake(TELNYX_API_KEY="", TELNYX_API_KEY_FILE=str(path))

    named = f"TELNYX_API_KEY_FILE names {path}, which"
    assert found(None) == f"{named} cannot be read: No such file or directory"
    assert found(b"\n") == f"{named} is empty"
    assert found(b"KEY\xff") == f"{named} is not text in UTF-8"
    assert found(b"K" * 65_537) == f"{named} has more than 65536 bytes"
    path.unlink()
    path.mkdir()
    assert mistake(TELNYX_API_KEY="", TELNYX_API_KEY_FILE=str(path)) == (
        f"{named} cannot be read: Is a directory"
    )


def test_a_text_in_a_file_that_cannot_be_used_is_told_by_its_file_and_not_shown(
    path: Path,
) -> None:
    path.write_text("KEY s3cr3t")

    found = mistake(TELNYX_API_KEY="", TELNYX_API_KEY_FILE=str(path))

    assert found.startswith(f"TELNYX_API_KEY (from {path}) has blanks")
    assert "s3cr3t" not in found


@pytest.mark.parametrize("name", FILED)
def test_a_file_that_cannot_be_read_is_one_mistake(name: str) -> None:
    found = mistakes(**{name: "", f"{name}_FILE": "/nope"})

    assert found == [f"{name}_FILE names /nope, which cannot be read: No such file or directory"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TELNYX_API_KEYFILE", "TELNYX_API_KEY_FILE"),
        ("TELNYX_PUBLIC_KEYS_FILE", "TELNYX_PUBLIC_KEY_FILE"),
        ("GATEWAY_UPSTREAM_PROXY_FIEL", "GATEWAY_UPSTREAM_PROXY_FILE"),
    ],
)
def test_a_misspelt_name_of_a_file_is_a_mistake(name: str, meant: str) -> None:
    assert mistake(**{name: "/x"}) == f"{name} is not a setting: did you mean {meant}?"


def test_a_setting_that_is_no_secret_has_no_file() -> None:
    assert mistake(GATEWAY_LOG_LEVEL_FILE="/x").startswith(
        "GATEWAY_LOG_LEVEL_FILE is not a setting"
    )


def test_a_simulated_provider_takes_the_place_of_files_as_well(path: Path) -> None:
    env = {**GOOD, "TELNYX_API_KEY": "", "TELNYX_API_KEY_FILE": "/nope", "OTHER": "1"}

    assert overlaid(env, GOOD, file_names()) == {**GOOD, "OTHER": "1"}


def test_a_proxy_in_a_file_is_one_that_has_an_effect() -> None:
    env = {"HTTPS_PROXY": "http://p:3128", "GATEWAY_UPSTREAM_PROXY_FILE": "/run/secrets/proxy"}

    assert unread(env) == []


def test_one_value_is_read_as_all_are() -> None:
    assert read_value("TELNYX_PUBLIC_KEY", KEY) == settings().public_keys
    with pytest.raises(ValueError, match=r"^key 2 of 2 is not base64$"):
        read_value("TELNYX_PUBLIC_KEY", f"{KEY},x")


def test_no_secret_of_a_file_is_shown_by_settings_or_mistakes(path: Path) -> None:
    path.write_text("http://someone:s3cr3t@proxy:3128")
    loaded = settings(GATEWAY_UPSTREAM_PROXY_FILE=str(path))
    assert "s3cr3t" not in repr(loaded) + str(loaded)

    path.write_text("ftp://someone:s3cr3t@proxy:3128")
    with pytest.raises(SettingsError) as caught:
        settings(GATEWAY_UPSTREAM_PROXY_FILE=str(path))
    assert "s3cr3t" not in str(caught.value)
