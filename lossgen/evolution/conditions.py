"""Conditions of a comparison: regularisers and learning rates that stand in place of the runner's options.

A condition is a mapping of option names to numbers (`Member.condition`); a switch is 0.0 or 1.0. Its one text is what
tells two conditions apart in an archive.
"""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossgen.errors import InputError
from lossgen.language.printer import format_constant

if TYPE_CHECKING:
    from pydantic import BaseModel

REGULARISERS: Mapping[str, float] = {"r1": 10.0, "gradient_penalty": 10.0, "drift": 0.001, "spectral_norm": 1.0}
"""Options of a runner that regularise its discriminator, with their usual strengths: r1 as Mescheder et al. 2018 have
it (gamma = 10), gradient_penalty as Gulrajani et al. 2017 (lambda = 10), drift as Karras et al. 2018 (0.001);
spectral_norm (Miyato et al. 2018) is a switch."""
SWITCH = "spectral_norm"
NONE = "none"
RECOMMENDED = "recommended"
"""The option that applies the regularisers that a loss asks for; a loss that is crossed with others has theirs only."""

RATES = ("lr_generator", "lr_discriminator")

AROUND = ((1.0, 3.0), (1 / 3, 1.0), (1 / 3, 10.0), (1.0, 1 / 3))
"""The usual grid, times a runner's own rates of generator and discriminator. Losses differ in which rate of the
discriminator suits them, over a decade (docs/calibration.md); a grid that lies to one side of that favours those whose
own rate lies there, so this one reaches beyond on both. The first pair is where a race begins."""
ENDS = 3
"""Values of a rate from which on a grid has an inside."""

_ITEM = re.compile(r"(\w+)\s*(?:\(([^()]*)\))?")


def condition_text(condition: Mapping[str, float]) -> str:
    """The one text of a condition: JSON with sorted names; "" for none."""
    numbers = {name: float(value) for name, value in condition.items()}
    return json.dumps(numbers, sort_keys=True, separators=(",", ":")) if numbers else ""


def condition_of(text: str) -> dict[str, float]:
    """The condition that has this text."""
    return dict(json.loads(text)) if text else {}


def condition_name(text: str) -> str:
    """A condition in a folder's name or on a line: "r1=10,lr=0.001-0.003"; "none" where all is switched off."""
    condition = condition_of(text)
    pair = [format_constant(condition.pop(name)) for name in RATES] if set(RATES) <= set(condition) else []
    parts = [f"{name}={format_constant(value)}" for name, value in condition.items() if value]
    return ",".join([*parts, *([f"lr={'-'.join(pair)}"] if pair else [])]) or NONE


def parse_regularisers(text: str) -> list[str]:
    """Read `none,r1,gradient_penalty(10)+drift`: alternatives between commas, what stands together joined by +.

    Returns:
        Each with its strengths, in one order: "none", "r1(10)", "gradient_penalty(10) + drift(0.001)".

    Raises:
        InputError: a name or a strength that is none, or the same twice.
    """
    found: list[str] = []
    for alternative in text.split(","):
        written = _written(_strengths(alternative))
        if written in found:
            raise InputError(f"--regulariser {text}: {written} is given twice; give each once")
        found.append(written)
    return found


def regularised(regulariser: str, options: Collection[str]) -> dict[str, float]:
    """The condition under which a loss has these regularisers and no others, of a runner with such options."""
    strengths = _strengths(regulariser)
    condition = {name: strengths.get(name, 0.0) for name in REGULARISERS if name in options}
    return condition | ({RECOMMENDED: 0.0} if RECOMMENDED in options else {})


def check_regularisers(regularisers: Sequence[str], options: Collection[str], runner: str) -> None:
    """Raise InputError where a runner with such options cannot have a regulariser."""
    having = [name for name in REGULARISERS if name in options]
    has = f"it has {', '.join(having)}" if having else "it has none"
    for regulariser in regularisers:
        for name in [name for name in _strengths(regulariser) if name not in having]:
            raise InputError(f"--regulariser {name}: the runner {runner} has no such option, {has}; leave it out")
    if not having and RECOMMENDED not in options:
        raise InputError(f"--regulariser: the runner {runner} has no regularisers to be crossed with; leave it out")


def parse_grid(text: str) -> list[tuple[float, float]]:
    """Read `1e-3:1e-3,3e-3:1e-3`: pairs of learning rates, the generator's before the discriminator's.

    Raises:
        InputError: a pair that is none, or the same twice.
    """
    pairs: list[tuple[float, float]] = []
    for part in text.split(","):
        pair = _pair_of(part, f"--grid {text!r}")
        if pair in pairs:
            raise InputError(f"--grid {text!r}: {part.strip()} is given twice; give each pair once")
        pairs.append(pair)
    return pairs


def usual_grid(options: "type[BaseModel]", given: Mapping[str, Any], runner: str) -> list[tuple[float, float]]:
    """Pairs of learning rates where no grid is given: `AROUND` times the runner's own.

    Args:
        options: of the runner, which has learning rates.
        given: those of its options that were given.

    Raises:
        InputError: it has no rates unless they are given, or what was given is no number.
    """
    own = []
    for name in RATES:
        try:
            own.append(float(given.get(name, options.model_fields[name].default)))
        except (TypeError, ValueError):
            if name in given:
                raise InputError(f"--{name.replace('_', '-')}: {given[name]!r} is no number; give one") from None
            raise InputError(
                f"--grid: the runner {runner} has no learning rates for pairs to lie around; give some, "
                "1e-3:1e-3,3e-3:1e-3"
            ) from None
    generator, discriminator = own
    return [(_short(generator * g), _short(discriminator * d)) for g, d in AROUND]


def _short(rate: float) -> float:
    return float(f"{rate:.3g}")


def _pair_of(text: str, where: str) -> tuple[float, float]:
    try:
        generator, discriminator = (float(rate) for rate in text.split(":"))
    except ValueError:
        generator = discriminator = math.nan
    if not (0 < generator < math.inf and 0 < discriminator < math.inf):
        raise InputError(
            f"{where}: {text.strip()!r} is no pair of learning rates, generator:discriminator, for example "
            "1e-3:1e-3,3e-3:1e-3"
        )
    return generator, discriminator


def parse_rates(text: str) -> dict[str, tuple[float, float]]:
    """Read `BCE=1e-3:1e-3,LSGAN=3e-3:1e-3`: a pair of learning rates by the name of a loss.

    Raises:
        InputError: it is something else, or names a loss twice.
    """
    found: dict[str, tuple[float, float]] = {}
    for part in text.split(","):
        name, equals, pair = part.strip().partition("=")
        if not (name and equals) or name in found:
            why = "is named twice" if name in found else "does not say of which loss"
            raise InputError(f"--rates {text!r}: {part.strip()!r} {why}; for example BCE=1e-3:1e-3,LSGAN=3e-3:1e-3")
        found[name] = _pair_of(pair, f"--rates {text!r}")
    return found


def check_grid(grid: Sequence[Sequence[float]], options: "type[BaseModel]", runner: str, flag: str = "--tune") -> None:
    """Raise InputError where a runner with such options cannot have these learning rates."""
    from pydantic import ValidationError

    missing = [name for name in RATES if name not in options.model_fields]
    if missing:
        what = " and no ".join(missing)
        raise InputError(f"{flag}: the runner {runner} has no option {what} to be tuned; leave it out")
    for pair in grid:
        try:
            options.model_validate(rates(pair))
        except ValidationError as error:
            for problem in error.errors():
                if problem["loc"][:1] in [(name,) for name in RATES]:  # others may be missing here
                    where = f"{'--rates' if flag == '--rates' else '--grid'} {pair_text(pair)}"
                    raise InputError(f"{where}: {problem['loc'][0]}: {problem['msg']}") from None


def rates(pair: Sequence[float]) -> dict[str, float]:
    """The condition of a pair of learning rates."""
    return dict(zip(RATES, map(float, pair), strict=True))


def pair_text(pair: Sequence[float]) -> str:
    """A pair of learning rates as it is written: "0.001:0.003"."""
    return ":".join(f"{rate:g}" for rate in pair)


def at_the_edge(best: Mapping[str, Sequence[float]], grid: Sequence[Sequence[float]]) -> list[str]:
    """What is to be known where the best pairs of losses lie at an edge of the grid that they were chosen from.

    A rate of which the grid has less than `ENDS` values says nothing: each is an edge.

    Args:
        best: by the name of a loss.
    """
    lines = []
    for place, player in enumerate(("generator", "discriminator")):
        values = sorted({float(pair[place]) for pair in grid})
        for edge, end in ((values[-1], "highest"), (values[0], "lowest")) if len(values) >= ENDS else ():
            names = [name for name, pair in best.items() if float(pair[place]) == edge]
            if names:
                lines.append(
                    f"Best at the {end} rate of the {player} in the grid, {edge:g}: {', '.join(names)}. Beyond it they "
                    "may be better; a grid that reaches further would tell."
                )
    return lines


def _strengths(text: str) -> dict[str, float]:
    """Strength by name of regularisers that stand together; empty for none."""
    if text.strip() == NONE:
        return {}
    found: dict[str, float] = {}
    for part in text.split("+"):
        read = _ITEM.fullmatch(part.strip())
        if read is None or read[1] not in REGULARISERS:
            known = ", ".join((NONE, *REGULARISERS))
            raise InputError(
                f"--regulariser {part.strip()!r}: is none of {known}; for example none,r1,gradient_penalty(10)+drift"
            )
        name = read[1]
        if name in found:
            raise InputError(f"--regulariser {text.strip()}: {name} is in it twice; give it once")
        found[name] = _strength(name, read[2])
    return found


def _strength(name: str, text: str | None) -> float:
    if text is None:
        return REGULARISERS[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if name == SWITCH and value != 1.0:
        raise InputError(f"--regulariser {name}({text}): {name} is on or off and has no strength; give {name} alone")
    if not 0 < value < math.inf:
        usual = f"{name}({REGULARISERS[name]:g})"
        raise InputError(f"--regulariser {name}({text}): give a strength above 0, for example {usual}")
    return value


def _written(strengths: Mapping[str, float]) -> str:
    parts = [
        name if name == SWITCH else f"{name}({format_constant(strengths[name])})"
        for name in REGULARISERS
        if name in strengths
    ]
    return " + ".join(parts) or NONE
