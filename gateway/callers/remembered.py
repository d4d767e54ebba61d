"""What was found out once and does not change, as much as there is room for."""


class Remembered:
    """Which connection something belongs to, by its id; the oldest of too many goes."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._values: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, id_: str) -> str | None:
        """Return the connection, None if it is not remembered."""
        return self._values.get(id_)

    def put(self, id_: str, connection: str) -> None:
        """Remember a connection."""
        self._values.pop(id_, None)
        while len(self._values) >= self._count_max:
            del self._values[next(iter(self._values))]
        self._values[id_] = connection
