"""A benchmark of image GANs as a script: the command that trains one loss and shows what it draws."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from lossgen.codegen.load import NamedSource, load_argument
from lossgen.errors import InputError
from lossgen.gan.benchmark import GANRunner, checked
from lossgen.gan.contact_sheet import grid
from lossgen.runner import Budget, DataSpec, Member, Outcome, Preparation

ENLARGED = 900
"""Pixels that a picture of samples is wide, about."""


@dataclass(frozen=True)
class Asked:
    """What a script was asked for.

    Attributes:
        runner: with its options, not prepared.
        loss: the loss; of several the first.
        out: a folder that is there.
        others: by name, what the script's own options say.
        losses: all of them, where a script takes several.
    """

    runner: Any
    loss: NamedSource
    data: DataSpec
    seed: int
    steps: int
    device: str
    out: Path
    others: Mapping[str, Any]
    losses: Sequence[NamedSource] = ()

    def prepare(self) -> Preparation:
        """Prepare the runner, and say what the user should know."""
        preparation: Preparation = self.runner.prepare(self.data, self.device)
        for note in preparation.notes:
            click.echo(note)
        return preparation

    def train(self, member: Member) -> Outcome:
        """Train a member to the end, with a bar."""
        with click.progressbar(length=self.steps, label=f"{member.name} on {self.data.name}") as bar:
            budget = Budget(self.steps, on_step=lambda _, step: bar.update(step - bar.pos), on_note=click.echo)
            (outcome,) = self.runner.train([member], budget)
            bar.update(self.steps - bar.pos)
        found: Outcome = outcome
        return found

    @property
    def member(self) -> Member:
        """The loss at the seed, its files kept."""
        return Member(self.loss.name, self.loss.source, (self.seed,), keep=self.out)


def write_picture(images: NDArray[np.uint8], path: Path, columns: int = 8) -> Path:
    """Images (N, C, H, W) side by side as a PNG, enlarged without smoothing."""
    from PIL import Image

    picture = Image.fromarray(grid(images, columns))
    scale = max(1, round(ENLARGED / picture.width))
    size = (picture.width * scale, picture.height * scale)
    picture.resize(size, Image.Resampling.NEAREST).save(path)
    return path


def report_of(asked: Asked, outcome: Outcome, preparation: Preparation) -> dict[str, Any]:
    """What metrics.json holds."""
    return {
        "schema": 1, "loss": asked.loss.name, "status": outcome.status, "reason": outcome.reason,
        "step": outcome.step, "seed": asked.seed, "metrics": dict(outcome.metrics),
        "curve": [list(point) for point in outcome.curve], "seconds": round(outcome.seconds, 2),
        "protocol": preparation.protocol,
    }  # fmt: skip


def train_one(asked: Asked) -> None:
    """Train one loss to the end, and write its numbers and a picture."""
    preparation = asked.prepare()
    outcome = asked.train(asked.member)
    numbers = asked.out / "metrics.json"
    numbers.write_text(json.dumps(report_of(asked, outcome, preparation), indent=2) + "\n", encoding="utf-8")
    written = [numbers, *outcome.files.values()]
    if "samples" in outcome.files:
        written.insert(0, write_picture(np.load(outcome.files["samples"])["images"], asked.out / "samples.png"))
    said = ", ".join(f"{name} {value:.3g}" for name, value in outcome.metrics.items()) or outcome.reason
    click.echo(f"{outcome.status} at step {outcome.step} after {outcome.seconds:.1f} s: {said}")
    click.echo("wrote " + "\n      ".join(map(str, written)))


def run_script(
    cls: type[GANRunner],
    steps: int,
    out: str,
    go: Callable[[Asked], None] = train_one,
    more: Sequence[Callable[[Any], Any]] = (),
    several: bool = False,
) -> None:
    """Run a runner's file from the command line; what is wrong ends in one line, with exit code 2.

    Args:
        steps, out: defaults.
        go: what is done.
        more: `click.option`s of the script's own.
        several: whether --loss can be given more than once.
    """

    def command(
        loss: str | Sequence[str], data: str, data_dir: str | None, image_size: int | None, download: bool, seed: int,
        steps: int, device: str, out: Path, **others: Any,
    ) -> None:  # fmt: skip
        sources = [load_argument(each) for each in ([loss] if isinstance(loss, str) else loss)]
        runner = cls(checked(cls.options, {name: others.pop(name) for name in cls.options.model_fields}))
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {out}: cannot make this folder: {error.strerror}") from None
        spec = DataSpec(data, root=data_dir, image_size=image_size, download=download)
        go(Asked(runner, sources[0], spec, seed, steps, device, out, others, sources))

    given = [
        click.option(
            "--loss",
            required=True,
            multiple=several,
            help="file (.loss or .py), zoo name, or expression" + "; may be given several times" * several,
        ),
        click.option("--data", default="digits", help="data set: name, .npz file or folder"),
        click.option("--data-dir", default=None, help="folder that data names are looked up in"),
        click.option("--image-size", default=None, type=click.IntRange(min=1), help="side in pixels"),
        click.option("--download", is_flag=True, help="fetch the data set if it is absent"),
        click.option("--seed", default=0, type=click.IntRange(min=0)),
        click.option("--steps", default=steps, type=click.IntRange(min=1), help="generator updates"),
        click.option("--device", default="cpu"),
        click.option("--out", default=out, type=click.Path(path_type=Path), help="folder to write to"),
        *more,
    ]
    for name, field in cls.options.model_fields.items():
        flag = name.replace("_", "-")
        flag = f"--{flag}/--no-{flag}" if field.annotation is bool else f"--{flag}"
        given.append(click.option(flag, default=field.default, help=field.description))
    for option in reversed(given):
        command = option(command)
    settings = {"show_default": True, "help_option_names": ["-h", "--help"]}
    try:
        click.command(context_settings=settings)(command)(standalone_mode=True)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk, or a folder that was taken away meanwhile
        click.echo(f"error: {error.filename or out}: {error.strerror or error}", err=True)
        sys.exit(2)
