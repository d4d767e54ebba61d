"""Makes a root folder as a container has it, and becomes the program in it.

Run as root in namespaces of its own, by `container.py`; a JSON document says what is wanted.
"""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

# ioctl(2) for the flags of a network interface, and the flag that it is up (netdevice(7)).
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1

# What the base image brings.
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "etc")
_DEVICES = ("null", "zero", "random", "urandom")


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def bind(source: Path, target: Path, *, writable: bool = False) -> None:
    target.mkdir(parents=True, exist_ok=True)
    mount("--bind", source, target)
    if not writable:
        mount("-o", "remount,bind,ro", target)


def make_root(root: Path, wanted: dict[str, Any]) -> None:
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=0755", "root", root)
    for name in _SYSTEM:
        host = Path("/") / name
        if host.is_symlink():
            (root / name).symlink_to(os.readlink(host))
        elif host.is_dir():
            bind(host, root / name)
    # The interpreter, where it is not the system's, and the environment that was built.
    for source, target in (*wanted["read"].items(), *wanted["written"].items()):
        bind(Path(source), root / target.lstrip("/"), writable=source in wanted["written"])
    for name in ("tmp", "var/tmp", "dev/shm", "home/gateway", "proc", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    mount("-t", "proc", "proc", root / "proc")
    mount("--rbind", "/sys", root / "sys")
    for device in _DEVICES:
        (root / "dev" / device).touch()
        mount("--bind", f"/dev/{device}", root / "dev" / device)
    mount("-o", "remount,bind,ro", root)


def loopback_up() -> None:
    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def main() -> None:
    wanted = json.loads(sys.argv[1])
    root = Path(wanted["root"])
    make_root(root, wanted)
    loopback_up()
    os.chroot(root)
    os.chdir(wanted["folder"])
    os.execvp(wanted["command"][0], wanted["command"])


if __name__ == "__main__":
    main()
