"""What has been logged."""

import logging

import pytest


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of warnings and errors."""
    return [it.getMessage() for it in caplog.records if it.levelno >= logging.WARNING]
