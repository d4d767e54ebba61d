"""Clocks that stand still until a test moves them."""


class ManualClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class MachineClock:
    """The clock of a machine: time passes, and somebody sets `now`, for better or for worse.

    `true` is the time by which everybody else goes, `steady` a clock that nobody sets.
    """

    def __init__(self, now: float) -> None:
        self.true = now
        self._began = now
        self._ahead = 0.0

    def __call__(self) -> float:
        return self.now

    @property
    def now(self) -> float:
        return self.true + self._ahead

    @now.setter
    def now(self, value: float) -> None:
        self._ahead = value - self.true

    def steady(self) -> float:
        return self.true - self._began

    def advance(self, seconds: float) -> None:
        self.true += seconds

    def put_right(self) -> None:
        self._ahead = 0.0
