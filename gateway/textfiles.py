"""Texts of settings that are in files: `TELNYX_API_KEY_FILE` names a file with the API key.

So secrets are mounted by Kubernetes, systemd (`LoadCredential=`) and Compose. The environment of a
process, on the other hand, is seen by its children, and often in crash reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.watchedfile import contents_of

# The largest such file that is read, in bytes: a dozen public keys are 600 bytes.
TEXT_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class FiledTexts:
    """The texts by the settings' names, the files that they are from, and what is wrong."""

    texts: dict[str, str] = field(default_factory=dict, repr=False)
    paths: dict[str, Path] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def read_texts(env: Mapping[str, str], file_names: Mapping[str, str]) -> FiledTexts:
    """Read the files that an environment names; `file_names` has settings with these names."""
    found = FiledTexts()
    for name, file_name in file_names.items():
        text = env.get(file_name, "").strip()
        if not text:
            continue
        if env.get(name, "").strip():
            found.mistakes.append(f"{file_name} is set and {name} as well: leave one of them out")
            continue
        found.paths[name] = path = Path(text)
        try:
            found.texts[name] = text_of(contents_of(path, TEXT_BYTES_MAX))
        except ValueError as error:
            found.mistakes.append(f"{file_name} names {path}, which {error}")
    return found


def overlaid(
    env: Mapping[str, str], chosen: Mapping[str, str], file_names: Mapping[str, str]
) -> dict[str, str]:
    """Return an environment in which `chosen` replaces settings, also where they are in files."""
    replaced = {file_names[name] for name in chosen if name in file_names}
    return {**{name: text for name, text in env.items() if name not in replaced}, **chosen}


def text_of(content: bytes) -> str:
    """Return a file's text without blanks around it, so without the line end behind it.

    Raises ValueError, with words that follow the file's name, for one that has none.
    """
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    if not text:
        raise ValueError("is empty")
    return text
