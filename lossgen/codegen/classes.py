"""Lines of an emitted class that do not depend on the library: its constants, its attributes, what a role is called on.

All are given without the indentation of the place where they stand.
"""

import json
from collections.abc import Iterable, Iterator

from lossgen.codegen.parts import OWN, Calls, Parts, over_scales
from lossgen.language.domain import tunable
from lossgen.language.interval import REALS, Interval
from lossgen.language.loss import GENERATOR_REAL, Loss

EPS = "1e-8"
WIDTH = 112
"""Characters of a line inside a method, without its indentation."""
MEANS = "Batch means are taken over the scores given, scale by scale; gradients flow through them, too."


def indent(lines: Iterable[str], spaces: int = 8) -> str:
    """The lines as one text for a place that is indented itself."""
    return "\n".join(" " * spaces + line if line else "" for line in lines).lstrip(" ")


def added(lines: Iterable[str], spaces: int = 8) -> str:
    """The lines as one text that follows a line of the same depth."""
    return "".join(f"\n{' ' * spaces}{line}" for line in lines)


def init(parameters: list[str], constants: list[str], end: str = "") -> str:
    """The signature of __init__, for a place that is indented by 4."""
    everything = ["self", *parameters, *(["*", *constants] if constants else [])]
    line = f"def __init__({', '.join(everything)}){end}:"
    if len(line) <= WIDTH + 4:
        return line
    return indent(["def __init__(", *(f"    {part}," for part in everything), f"){end}:"], 4)


def docstring_lines(first: str, more: str = "") -> Iterator[str]:
    """A method's docstring of one sentence, or of two paragraphs."""
    if not more:
        yield f'"""{first}"""'
    else:
        yield from (f'"""{first}', "", more, '"""')


def argument_lines(loss: Loss, parts: Parts) -> Iterator[str]:
    """What the class's docstring says of the named constants."""
    for name, value in loss.constants.items():
        yield f"{name}: a constant of the loss; {_allowed(_range(name, value, parts))}."


def attribute_lines(loss: Loss) -> Iterator[str]:
    """Class attributes that tell a training loop what the loss asks for."""
    if loss.needs_real:
        yield "needs_real = True  # generator_loss takes the real scores, too"
    else:
        yield "needs_real = False  # generator_loss makes no use of the real scores"
    if loss.needs:
        yield f"recommended = {json.dumps(dict(loss.needs))}  # to train the discriminator with; no part of this file"


def constant_lines(loss: Loss, parts: Parts) -> Iterator[str]:
    """Lines of __init__ that check the named constants and keep them."""
    alike: dict[Interval, list[str]] = {}
    for name, value in loss.constants.items():
        alike.setdefault(_range(name, value, parts), []).append(name)
    for allowed, names in alike.items():
        said = _allowed(allowed)
        if len(names) == 1:
            yield f"if not {_condition(names[0], allowed)}:"
            yield f'    raise ValueError(f"{names[0]} must be {said}, not {{{names[0]}!r}}")'
        else:
            pairs = ", ".join(f'"{name}": {name}' for name in names)
            yield f"for key, value in {{{pairs}}}.items():"
            yield f"    if not {_condition('value', allowed)}:"
            yield f'        raise ValueError(f"{{key}} must be {said}, not {{value!r}}")'
    for name in loss.constants:
        yield f"self.{name} = float({name})"


def check_lines(calls: Calls, scores: str) -> Iterator[str]:
    """Lines that have the scores looked at, in targets where something does."""
    if calls.check:
        yield f"if {calls.checks_while}:"
        yield f"    {calls.check}({scores})"


def discriminator_lines(parts: Parts, calls: Calls) -> Iterator[str]:
    """Lines that leave the discriminator's losses in of_real and of_fake."""
    yield from check_lines(calls, "real_score, fake_score")
    real, fake = (over_scales(parts[role], calls, WIDTH - 10) for role in ("real", "fake"))
    if parts["real"].is_plain and parts["fake"].is_plain:
        yield f"of_real, of_fake = {real}, {fake}"
    else:
        yield from f"of_real = {real}".split("\n")
        yield from f"of_fake = {fake}".split("\n")


def about_generator(parts: Parts) -> tuple[str, str]:
    """First sentence and further paragraph of generator_loss's docstring."""
    has_real, means = GENERATOR_REAL in parts, parts["generator"].means
    if not has_real:
        return "Loss of the generator for the scores of its images.", MEANS if means else ""
    first = 'Loss for generated images plus loss for real ones; with reduction "none" the pair (fake, real).'
    return first, MEANS if means + parts[GENERATOR_REAL].means else ""


def generator_lines(loss: Loss, parts: Parts, calls: Calls, both: str) -> Iterator[str]:
    """Lines of generator_loss behind its docstring; `both` is the one that returns of_fake and of_real."""
    if loss.needs_real:
        yield "if real_score is None:"
        yield f'    raise ValueError("{loss.name} needs the real scores, too: generator_loss(fake_score, real_score)")'
    yield from check_lines(calls, "fake_score, real_score" if loss.needs_real else "fake_score")
    of_fake = over_scales(parts["generator"], calls, WIDTH - 10)
    if GENERATOR_REAL not in parts:
        yield from f"return {of_fake}".split("\n")
        return
    yield from f"of_fake = {of_fake}".split("\n")
    yield from f"of_real = {over_scales(parts[GENERATOR_REAL], calls, WIDTH - 10)}".split("\n")
    yield both


def compares(parts: Parts) -> bool:
    """Whether a role's function is called on the scores of real and of generated images at once."""
    return any(len(part.scores) > 1 for name, part in parts.by_name.items() if name in OWN)


def _range(name: str, value: float, parts: Parts) -> Interval:
    return tunable(value) if name in parts.signed else REALS


def _allowed(interval: Interval) -> str:
    if interval.lo > 0.0:
        return f"a finite number, at least {EPS}"
    return f"a finite number, at most -{EPS}" if interval.hi < 0.0 else "a finite number"


def _condition(name: str, interval: Interval) -> str:
    if interval.lo > 0.0:
        return f'{EPS} <= {name} < float("inf")'
    return f'-float("inf") < {name} <= -{EPS}' if interval.hi < 0.0 else f'abs({name}) < float("inf")'
