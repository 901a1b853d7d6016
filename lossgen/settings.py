"""What a run does where nothing else is asked for, and how lengths of time are written.

The command line, the functions of Python and run.toml take their defaults from here.
"""

import re
from typing import Literal

ObjectiveKind = Literal["quality", "robust", "stability"]
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

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


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
