"""What holders of leases have to do with: the work, and that it must stop."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Begins work anew; what it returns is cancelled when the lease is lost."""


class LeaseLostError(Exception):
    """Another gateway may hold the lease by now: what was being done must end."""

    def __init__(self) -> None:
        super().__init__("the lease was lost: another gateway may go on with this")
