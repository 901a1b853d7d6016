"""The commands that train: evolve, compare, calibrate and verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from lossgen import settings
from lossgen.cli.flags import DATA_OPTIONS, RUN_OPTIONS, SETTINGS, TRAIN_OPTIONS, RunnerCommand, given_by
from lossgen.commands import DATA_FLAGS

if TYPE_CHECKING:
    from lossgen.api.asked import Kind

USUAL = "the runner's own times 1:3, 1/3:1, 1/3:10 and 1:1/3"


@click.command(cls=RunnerCommand, about="Search", context_settings=SETTINGS)
@RUN_OPTIONS
@DATA_OPTIONS
@click.option("--space", default=settings.SPACE, help="Search space: a name, or a .lark file.")
@click.option(
    "--population", type=click.IntRange(min=1), default=settings.POPULATION, help="Candidates trained a generation."
)
@click.option(
    "--generations",
    type=click.IntRange(min=1),
    help=f"Generations. [default: {settings.GENERATIONS}; of a race {settings.RACE_GENERATIONS}]",
)
@click.option(
    "--mode",
    type=click.Choice(get_args(settings.Mode)),
    default=settings.MODE,
    help="Whether a generation waits for its last training, so that the result is the same with any number of workers; "
    "or a loss is bred as a worker is free, and none ever waits.",
)
@click.option("--max-trainings", type=click.IntRange(min=1), help="GANs that the run may train, verification included.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Generator updates of the run, verification included.")
@click.option("--max-candidates", type=click.IntRange(min=1), help="Losses that the search may propose.")
@click.option(
    "--polish", type=click.IntRange(min=0), help="Trainings of the best loss's constants. [default: 16 or less]"
)
@click.option("--audit", type=click.IntRange(min=0), help="Rejected losses to train all the same. [default: 8 or less]")
@click.option("--cache", is_flag=True, help="Use, and keep, outcomes of searches across runs (see README).")
@click.option(
    "--objective",
    type=click.Choice(get_args(settings.ObjectiveKind)),
    help="What makes a loss fit: how well it trains at one setting, over several pairs of learning rates, or on seeds "
    "out of luck. [default: robust where the runner has learning rates, else quality]",
)
@click.option(
    "--grid",
    metavar="PAIRS",
    help=f"Of robust: learning rates, generator:discriminator. [default: {USUAL}]",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=settings.SEEDS,
    help="Seeds that each candidate is trained on, of robust with each pair; of stability 4 where it is not given.",
)
@click.option(
    "--rungs",
    metavar="STEPSxREPLICATES,...",
    help="Race: train all up to the first, the better of them to the next, and so on: 500x1,1000x2,2000x4. [default: "
    "where robust a quarter of --steps with one pair, half of them, all, and all with all pairs]",
)
@click.option(
    "--verify-seeds",
    type=click.IntRange(min=2),
    default=settings.VERIFY_SEEDS,
    help="Fresh seeds of the verification.",
)
@click.option("--seed-loss", "seed_losses", multiple=True, metavar="LOSS", help="Start from this loss, too.")
@click.option(
    "--generated",
    type=click.Path(path_type=Path),
    default=settings.GENERATED,
    help="Folder that found losses go to.",
)
@click.pass_context
def evolve(ctx: click.Context, /, **flags: Any) -> None:
    """Search for a loss, verify the best on fresh seeds, and write its source.

    Without options: DCGANs on 1797 handwritten digits of 8 x 8 pixels, about half an hour on 2 cores.
    """
    _train(ctx, "evolve", flags)


@click.command(cls=RunnerCommand, about="Comparison", context_settings=SETTINGS)
@click.argument("losses", nargs=-1, metavar="LOSS...")
@RUN_OPTIONS
@DATA_OPTIONS
@click.option(
    "--seeds", type=click.IntRange(min=1), default=settings.COMPARE_SEEDS, help="Seeds that each loss is trained on."
)
@click.option(
    "--regulariser",
    metavar="LIST",
    help="Train each loss with each of these, and not with what it asks for: 'none,r1,gradient_penalty(10)+drift'. "
    "There are r1, gradient_penalty, drift and spectral_norm, where the runner has them.",
)
@click.option(
    "--objective",
    type=click.Choice(["quality", "robust"]),
    help="Of robust a result is the mean over all pairs of --grid, a fresh seed each. [default: quality]",
)
@click.option(
    "--tune", is_flag=True, help="Choose each loss's learning rates first, on other seeds than those that are reported."
)
@click.option(
    "--grid",
    metavar="PAIRS",
    help=f"Learning rates, generator:discriminator, of --tune or robust. [default: {USUAL}]",
)
@click.option(
    "--tune-seeds", type=click.IntRange(min=1), default=settings.TUNE_SEEDS, help="Seeds that each pair is trained on."
)
@click.option(
    "--rates",
    metavar="NAME=PAIR,...",
    help="Learning rates of these losses, as an earlier --tune has chosen them: BCE=1e-3:1e-3,LSGAN=3e-3:1e-3.",
)
@click.option("--trust", is_flag=True, help="Run .py files whose code is not what lossgen would write.")
@click.pass_context
def compare(ctx: click.Context, /, **flags: Any) -> None:
    """Train losses on the same seeds at equal budget; print a table, draw a box plot and samples.

    LOSS may also be `zoo`: the known losses that come with lossgen, aliases left out; `shortlist`: those that searches
    have found; or RUN:5, the five best losses of a search, as it searched them. With the --out of an earlier comparison
    under the same setting, more losses or more --seeds go on with it: only what is missing is trained.
    """
    _train(ctx, "compare", flags)


@click.command(cls=RunnerCommand, about="Calibration", context_settings=SETTINGS)
@click.argument("losses", nargs=-1, metavar="[LOSS...]")
@RUN_OPTIONS
@DATA_OPTIONS
@click.option("--budgets", default=settings.BUDGETS, metavar="STEPS", help="Steps at which each training is looked at.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=settings.CALIBRATE_SEEDS,
    help="Seeds of each loss and pair of learning rates.",
)
@click.option(
    "--grid",
    metavar="PAIRS",
    help=f"Learning rates to train with, generator:discriminator. [default: {USUAL}]",
)
@click.option(
    "--beside", multiple=True, metavar="RUN", help="Say also how this one foretells that calibration of other data."
)
@click.option("--trust", is_flag=True, help="Run .py files whose code is not what lossgen would write.")
@click.pass_context
def calibrate(ctx: click.Context, /, **flags: Any) -> None:
    """Find out how short a training may be that still tells losses apart as long ones do.

    A panel of losses (without LOSS the zoo and other known forms) is trained with several pairs of learning rates, and
    judged at growing budgets: how much losses differ beside seeds, and how well each budget, and each objective of a
    search, foretells the order of the losses at the last one.
    """
    _train(ctx, "calibrate", flags)


@click.command(cls=RunnerCommand, about="Ladder", context_settings=SETTINGS)
@click.argument("losses", nargs=-1, metavar="LOSS...")
@TRAIN_OPTIONS
@DATA_OPTIONS
@click.option("--ladder", is_flag=True, help="Climb all rungs, not only the first two.")
@click.option("--every", is_flag=True, help="Try the rungs above one that no loss has passed, too.")
@click.option("--verify-on", multiple=True, metavar="DATA", help="Other data, for the last rung.")
@click.option(
    "--plateau", type=click.IntRange(min=1), help="Steps where training longer gains little. [default: 4 x --steps]"
)
@click.option(
    "--seeds", type=click.IntRange(min=2), default=settings.VERIFY_SEEDS, help="Seeds of each loss on each rung."
)
@click.option(
    "--objective",
    type=click.Choice(["quality", "robust"]),
    help="What the first rung compares: trainings at one setting, or means over all pairs of --grid, as a robust "
    "search does. [default: quality]",
)
@click.option(
    "--grid",
    metavar="PAIRS",
    help=f"Learning rates to tune over, generator:discriminator. [default: {USUAL}]",
)
@click.option(
    "--tune-seeds", type=click.IntRange(min=1), default=settings.TUNE_SEEDS, help="Seeds that each pair is trained on."
)
@click.option("--extractor-weights", metavar="FILE", help="Weights of the Inception network, to judge once more by.")
@click.option("--trust", is_flag=True, help="Run .py files whose code is not what lossgen would write.")
@click.pass_context
def verify(ctx: click.Context, /, **flags: Any) -> None:
    """See how far losses climb: better than tuned baselines on fresh seeds, at the plateau, by another judge, ...

    The rungs: fresh seeds; baselines tuned on the same grid of learning rates, a one-sidedly smoothed BCE among them;
    and with --ladder long trainings; another extractor, KID and coverage; a generator of twice the width, with and
    without normalisation; other data. The headline names the highest rung that a loss has passed. The same command with
    the same --out goes on where it was stopped.
    """
    from lossgen.api.ladder import default_folder
    from lossgen.api.ladder import verify as climb
    from lossgen.evolution.events import Stopped

    if flags["command"] is not None:  # the runner and its data follow from it
        for name in ("runner", *DATA_FLAGS):
            flags.pop(name)
    given = {name: value for name, value in flags.items() if value is not None}
    given.setdefault("out", default_folder("losses"))
    try:
        climb(**given)
    except (KeyboardInterrupt, Stopped):
        again = f"the same command with --out {given['out']} goes on"
        click.echo(f"Stopped. What was trained is kept; {again}.", err=True)
        ctx.exit(130)


def _train(ctx: click.Context, kind: "Kind", flags: dict[str, Any]) -> None:
    """What the flags ask for, with a view of it; exit code 130 where it was stopped."""
    from lossgen.api.asked import Asked
    from lossgen.api.work import carry_out
    from lossgen.report.live import LiveView, PlainView, console_for

    def show() -> PlainView:
        console = console_for()
        return LiveView(console) if console.is_terminal else PlainView(console)

    folder, callbacks = flags.pop("tensorboard"), []
    if folder is not None:
        from lossgen.report.tensorboard import TensorBoard

        callbacks = [TensorBoard(folder)]
    asked = Asked(kind, flags, given_by(ctx) - {"tensorboard"}, callbacks)
    _, stopped = carry_out(asked, show, lambda warning: click.echo(warning, err=True))
    if stopped:
        ctx.exit(130)
