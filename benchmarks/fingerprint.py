"""How far do rounding errors move a fingerprint's curves, and how often is a neighbouring cell probed?

    python benchmarks/fingerprint.py [--count 20000] [--out benchmarks/results/fingerprint.json]

Losses are drawn at random from each space that comes with lossgen. Each is written in another way (multiplied out,
reordered, scaled by a random factor), and what passes the screen is compared with its twin in the cells of the
fingerprint. About 1 minute on one core.
"""

import json
import time
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from lossgen.evolution.run import versions
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import random_individual
from lossgen.kernel.fingerprint import DIGITS, NEAR, STEP, fingerprint, probes
from lossgen.kernel.screen import Curves, screen
from lossgen.language.expression import Expression, apply, constant
from lossgen.language.loss import Loss
from lossgen.language.lower import LoweredLoss, NotFiniteError, lower_loss
from lossgen.resources import resource_dir


def rewritten(node: Expression) -> Expression:
    """An expression of the same value: products and quotients of sums multiplied out, sums and products reordered."""
    operands = node.operands
    if node.head == "mul":
        for one, other in (operands, operands[::-1]):
            if other.head in ("add", "sub"):
                return apply(other.head, *(apply("mul", one, part) for part in other.operands))
        if operands[0].head == "mul":
            return apply("mul", operands[0].operands[0], apply("mul", operands[0].operands[1], operands[1]))
    if node.head == "div" and operands[0].head in ("add", "sub"):
        return apply(operands[0].head, *(apply("div", part, operands[1]) for part in operands[0].operands))
    if node.head == "add":
        if operands[0].head == "add":
            return apply("add", operands[0].operands[0], apply("add", operands[0].operands[1], operands[1]))
        return apply("add", *operands[::-1])
    if node.head == "square" and operands[0].head in ("add", "sub"):
        first, second = operands[0].operands
        mixed = apply("mul", constant(2.0), apply("mul", first, second))
        return apply("add", apply(operands[0].head, apply("square", first), mixed), apply("square", second))
    return node


def twin(loss: Loss, factor: float) -> Loss:
    """`factor` times the loss, written in another way."""
    forms = {
        clause: apply("mul", constant(factor), expression.map(rewritten)) for clause, expression in loss.clauses.items()
    }
    return loss.with_clauses(forms)


def places(curves: Curves) -> NDArray[np.float64]:
    """The curves in cells, as the fingerprint sees them where the scale is free."""
    scales = np.abs(curves.gradient[:2]).max(), np.abs(curves.gradient[2]).max()
    return np.concatenate([(curves.gradient[:2] / scales[0]).ravel(), curves.gradient[2] / scales[1]]) * 10**DIGITS


def measure(space: str, count: int, rng: np.random.Generator) -> dict[str, float]:
    """Figures of the losses of one space that pass the screen."""
    pairs: list[tuple[LoweredLoss, LoweredLoss]] = []
    drawn = find_space(space)
    for _ in range(count):
        loss = random_individual(drawn, rng).loss("Candidate")
        try:
            pairs.append((lower_loss(loss), lower_loss(twin(loss, float(rng.lognormal(0.0, 3.0))))))
        except NotFiniteError:
            continue
    judged = zip(screen([one for one, _ in pairs]), screen([other for _, other in pairs]), strict=True)
    kept = [(one.curves, other.curves) for one, other in judged if not (one.rejection or other.rejection)]
    moved = np.array([np.abs(places(one) - places(other)).max() for one, other in kept])
    near = [np.abs((at := places(one) + STEP) - np.rint(at)) < NEAR for one, _ in kept]
    began = time.perf_counter()
    cells = np.array([len(probes(one)) for one, _ in kept])
    seconds = time.perf_counter() - began
    return {
        "pass the screen": len(kept),
        "median shift (cells)": float(np.median(moved)),
        "largest shift (cells)": float(moved.max()),
        "share with a value near a step": float(np.mean([any(each) for each in near])),
        "mean cells probed": float(cells.mean()),
        "most cells probed": int(cells.max()),
        "fingerprints of twins that differ": sum(fingerprint(one) != fingerprint(other) for one, other in kept),
        "twins not found by probing": sum(fingerprint(one) not in probes(other) for one, other in kept),
        "microseconds a loss": 1e6 * seconds / len(kept),
    }


@click.command()
@click.option("--count", default=20_000, help="Losses drawn from each space.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def main(count: int, out: Path | None) -> None:
    rng = np.random.default_rng(0)
    spaces = sorted(path.stem for path in (resource_dir("grammar") / "spaces").glob("*.lark"))
    found = {space: measure(space, count, rng) for space in spaces}
    for space, figures in found.items():
        click.echo(f"{space}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    if out:
        out.write_text(
            json.dumps({"schema": 1, "versions": versions(), "near": NEAR, "spaces": found}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
