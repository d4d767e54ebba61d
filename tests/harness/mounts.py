"""What tests that mount file systems need."""

import os
import shutil

import pytest

_CAN_MOUNT = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None

# On a laptop they are skipped without root. In CI they run whatever is missing, and then fail.
as_root = pytest.mark.skipif(
    not _CAN_MOUNT and not os.environ.get("CI"), reason="mounts a file system: needs root"
)
