"""What a run does where nothing else is asked for, and how lengths of time are written.

The command line, the functions of Python and run.toml take their defaults from here.
"""

import re
from dataclasses import dataclass
from typing import Literal

ObjectiveKind = Literal["quality", "robust", "stability"]
Mode = Literal["generational", "steady"]
MODE: Mode = "generational"
SPACE, RUNNER, DATA = "ganetic", "dcgan", "digits"
POPULATION, GENERATIONS, RACE_GENERATIONS = 16, 8, 12
"""A race trains few of its losses the whole way."""
STEPS, ROBUST_STEPS = 1500, 500
"""Of a training; of one of the several that a loss has in a search with the objective `robust`."""
STABILITY_SEEDS = 4
SEEDS, VERIFY_SEEDS, COMPARE_SEEDS, TUNE_SEEDS = 1, 6, 6, 2
BUDGETS, CALIBRATE_SEEDS = "250,500,1000,2000,4000", 2
SEED, DEVICE, GENERATED = 0, "cpu", "generated"
FIT: Literal["pad"] = "pad"

GPUS_PER_WORKER = 1.0
"""On a Ray cluster."""

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|)")
_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds(time: str | float) -> float:
    """Seconds of a length of time: 90, "90s", "15m", "2h".

    Raises:
        ValueError: not a length of time above 0.
    """
    found = _TIME.fullmatch(str(time).strip().lower())
    length = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not length > 0:
        raise ValueError(f"{time!r} is not a length of time such as 90s, 15m or 2h")
    return length


@dataclass(frozen=True)
class RayWorkers:
    """Workers on a Ray cluster.

    Attributes:
        address: "local" for one that is started on this machine and ends with the run, "auto" for the one that this
            machine is a part of, or ray://HOST:PORT.
        gpus: that a worker may use, a part of one or several; of no account where trainings run on the CPU.
    """

    address: str
    gpus: float = GPUS_PER_WORKER

    def __str__(self) -> str:
        return {"local": "ray", "auto": "ray:auto"}.get(self.address, self.address)


def workers(text: str | int) -> int | RayWorkers:
    """Workers as they are asked for: a number of processes, "ray", "ray:auto" or "ray://HOST:PORT".

    Raises:
        ValueError: none of these.
    """
    asked = str(text).strip()
    if asked.isascii() and asked.isdecimal():
        return int(asked)
    if asked in ("ray", "ray:auto"):
        return RayWorkers("local" if asked == "ray" else "auto")
    if re.fullmatch(r"ray://[^/\s:]+:\d+", asked):
        return RayWorkers(asked)
    raise ValueError("is no number of processes, and none of ray, ray:auto and ray://HOST:PORT")
