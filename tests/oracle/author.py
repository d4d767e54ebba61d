"""The author of schedules: a seed, and what is likely."""

import random
from collections.abc import Callable

from tests.oracle.history import Earliest, Latest, Opening, Place, Since
from tests.oracle.model import Wanted
from tests.oracle.schedule import (
    CALLS,
    CLOCK_START,
    CONFERENCES,
    CONNECTIONS,
    PREFIXES,
    QUEUES,
    SESSIONS,
    TYPES,
    Append,
    Crash,
    DiskFree,
    DiskFull,
    Leave,
    Prune,
    Replace,
    Rest,
    Restart,
    Resume,
    Schedule,
    Silence,
    Stall,
    Step,
    StepClock,
    Subscribe,
    Unstall,
)


def schedule(seed: int, steps: int = 32) -> Schedule:
    return Author(random.Random(seed)).write(seed, steps)


_WEIGHTS = {
    "append": 30,
    "subscribe": 14,
    "resume": 12,
    "leave": 6,
    "stall": 6,
    "unstall": 6,
    "prune": 8,
    "clock": 10,
    "silence": 4,
    "rest": 8,
    "restart": 2,
    "crash": 3,
    "disk_full": 1.5,
    "disk_free": 3,
    "replace": 0.7,
}


class Author:
    """Draws all that a schedule is made of from one source of chance."""

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._next_id = 0

    def write(self, seed: int, steps: int) -> Schedule:
        random_ = self._random
        window = random_.randint(4, 50) if random_.random() < 0.4 else random_.randint(4, 12)
        age_max_s = random_.choice([40.0, 3_600.0, 3_600.0])
        kinds = random_.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=steps)
        opening: list[Step] = [Append(self.ids(random_.randint(0, 15)))]
        made = opening + [self._step(kind) for kind in kinds]
        checkpoints, tells_late = random_.random() < 0.2, random_.random() < 0.5
        return Schedule(seed, window, age_max_s, checkpoints, tells_late, tuple(made))

    def _step(self, kind: str) -> Step:
        random_ = self._random
        reader = random_.randrange(12)
        made: dict[str, Callable[[], Step]] = {
            "append": lambda: Append(
                self.ids(random_.choice([1, 1, 2, 3, 8, 14])), random_.random() < 0.6
            ),
            "subscribe": self._subscribe,
            "resume": lambda: Resume(
                reader, self.opening(Latest()), random_.choice([0, 0, 0, random_.randint(1, 30)])
            ),
            "leave": lambda: Leave(reader),
            "stall": lambda: Stall(reader),
            "unstall": lambda: Unstall(reader),
            "prune": lambda: Prune(random_.random() < 0.5),
            "clock": lambda: StepClock(
                random_.choice([600.0, 600.0, -600.0, -600.0, 150.0, 1_000.0])
            ),
            "silence": lambda: Silence(random_.choice([1.0, 20.0, 45.0])),
            "rest": Rest,
            "restart": Restart,
            "crash": self._crash,
            "disk_full": DiskFull,
            "disk_free": DiskFree,
            "replace": Replace,
        }
        return made[kind]()

    def _subscribe(self) -> Subscribe:
        random_ = self._random
        unusual = random_.random()
        return Subscribe(
            self.opening(self.place()),
            ahead=random_.randint(1, 9) if unusual < 0.06 else 0,
            old=random_.randrange(200) if 0.06 <= unusual < 0.3 else -1,
        )

    def _crash(self) -> Crash:
        random_ = self._random
        ids = self.ids(random_.choice([0, 1, 3, 12]))
        if not ids or random_.random() < 0.4:
            return Crash(ids, turns=random_.randint(0, 4))
        garbled = random_.random() < 0.4
        return Crash(ids, cut=random_.random(), garbled=garbled)

    def ids(self, count: int) -> tuple[int, ...]:
        random_ = self._random
        ids: list[int] = []
        for _ in range(count):
            if self._next_id and random_.random() < 0.2:
                # Sent again: lately for the most part, sometimes after a long time.
                back = random_.randint(1, 4) if random_.random() < 0.7 else random_.randint(1, 60)
                ids.append(max(0, self._next_id - back))
            else:
                ids.append(self._next_id)
                self._next_id += 1
        random_.shuffle(ids)
        return tuple(ids)

    def opening(self, place: Place) -> Opening:
        random_ = self._random
        return Opening(
            self._wanted(),
            place,
            goes_on=random_.random() < 0.5,
            bounded=random_.random() < 0.15,
            batch_max=random_.choice([0, 1, 2, 3, 7]),
            raw=random_.random() < 0.2,
            heartbeat_s=random_.choice([1, 15]),
        )

    def place(self) -> Place:
        random_ = self._random
        match random_.randrange(4):
            case 0:
                return Latest()
            case 1:
                # Counted from the clock's start; the world's clock is near it.
                moment = CLOCK_START + random_.choice([-600, 0, 150, 600, 900, 1_500, 3_000])
                return Since(round(moment * 1e6))
        return Earliest()

    def _wanted(self) -> Wanted:
        random_ = self._random
        if random_.random() < 0.3:
            return Wanted()

        def some(values: tuple[str, ...], chance: float) -> tuple[str, ...]:
            if random_.random() > chance:
                return ()
            return tuple(random_.sample(values, random_.randint(1, min(2, len(values)))))

        return Wanted(
            types=some(TYPES, 0.3) + some(PREFIXES, 0.25),
            conference_ids=some(CONFERENCES, 0.4),
            queue_names=some(QUEUES, 0.1),
            call_control_ids=some(CALLS, 0.15),
            call_session_ids=some(SESSIONS, 0.1),
            connection_ids=some(CONNECTIONS, 0.1),
        )
