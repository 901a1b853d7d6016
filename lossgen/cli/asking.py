"""The commands for trainings that run elsewhere: ask and tell."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossgen import settings
from lossgen.cli.flags import SETTINGS
from lossgen.errors import InputError

if TYPE_CHECKING:
    from lossgen.evolution.asking import Handout
    from lossgen.evolution.config import RunConfig
    from lossgen.evolution.run import Run

NEW: dict[str, Any] = {
    "space": settings.SPACE, "seed": settings.SEED, "metric": "fitness", "seeds": settings.SEEDS, "seed_losses": (),
    "scale_free": False,
}  # fmt: skip
"""Flags of a new run, and their defaults."""


@click.command(context_settings=SETTINGS)
@click.argument("run", metavar="RUN")
@click.option("-n", "count", type=click.IntRange(min=1), default=8, help="Losses to ask for.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for them; else RUN/asked/<number>.")
@click.option("--again", is_flag=True, help="Write those whose results have not been told, and no new ones.")
@click.option("--verify", is_flag=True, help="Write the best loss and the baselines, for fresh seeds.")
@click.option(
    "--verify-seeds", type=click.IntRange(min=2),
    help=f"Seeds of that, no fewer than before. [default: as before; at first {settings.VERIFY_SEEDS}]",
)  # fmt: skip
@click.option("--metric", metavar="NAME", help="New run: what you tell; minimised, unless NAME:max. [default: fitness]")
@click.option("--space", help=f"New run: search space, a name or a .lark file. [default: {settings.SPACE}]")
@click.option("--seed", type=click.IntRange(min=0), help=f"New run: its seed. [default: {settings.SEED}]")
@click.option(
    "--seeds", type=click.IntRange(min=1, max=1000), help=f"New run: trainings of a loss. [default: {settings.SEEDS}]"
)
@click.option("--seed-loss", "seed_losses", multiple=True, metavar="LOSS", help="New run: start from this loss, too.")
@click.option(
    "--scale-free/--no-scale-free",
    default=None,
    help="New run: whether a factor on a loss changes nothing, as with Adam and no other term beside the loss; then "
    "losses that differ by a factor are asked for once. [default: no-scale-free]",
)
@click.pass_context
def ask(
    ctx: click.Context, /, run: str, count: int, out: Path | None, again: bool, verify: bool, verify_seeds: int | None,
    **flags: Any,
) -> None:  # fmt: skip
    """Write losses for you to train elsewhere, and a table to fill in for `lossgen tell`.

    RUN is a search that is finished (its folder, or the beginning of its name under ./runs), and is gone on with; or a
    name or folder for a new run. Losses whose results have not been told stay open, and new ones are bred from what has
    been told.
    """
    from lossgen.evolution import asking
    from lossgen.evolution.asked import state_of
    from lossgen.evolution.verifying import ask_verification
    from lossgen.report.live import PlainView, console_for

    given = {name: value for name, value in flags.items() if value not in (None, ())}
    if again + verify + (ctx.get_parameter_source("count") == click.core.ParameterSource.COMMANDLINE) > 1:
        raise InputError("ask: give one of -n, --again and --verify")
    if verify_seeds and not verify:
        raise InputError("--verify-seeds: belongs to --verify")
    with _open(run, given, may_create=not (again or verify)) as (opened, created):
        before = set(state_of(opened).open)
        if verify:
            handout = ask_verification(opened, verify_seeds, PlainView(console_for()), out)
        elif again:
            handout = asking.ask_again(opened, out)
        else:
            handout = asking.ask(opened, count, out)
        if created:
            click.echo(_created(opened))
        _say(opened, handout, len(before.difference(handout.trainings)))


@click.command(context_settings=SETTINGS)
@click.argument("run", metavar="RUN")
@click.argument("table", type=click.Path(path_type=Path), metavar="results.csv")
@click.option("--replace", is_flag=True, help="Let values that differ replace what was told before.")
@click.option(
    "--generated", type=click.Path(path_type=Path), default=settings.GENERATED, help="Folder that found losses go to."
)
def tell(run: str, table: Path, replace: bool, generated: Path) -> None:
    """Tell a run how trainings came out: the table that `lossgen ask` wrote, filled in.

    A cell that is left empty stays open. A training that failed is told as failed. What has been told before may stand
    in the table again; where it was wrong, --replace corrects it. When all of a verification is told, the comparison is
    printed and kept, and the module of the best written.
    """
    from lossgen.evolution import telling
    from lossgen.evolution.asked import engine_of, state_of
    from lossgen.evolution.planner import FEW
    from lossgen.evolution.run import find_run, open_run
    from lossgen.report.tables import best_line

    with open_run(find_run(run)) as opened:
        _notes(opened)
        told = telling.tell(opened, table, replace)
        path = shlex.quote(str(opened.path))
        said = f"Told {told.new} training{'s'[: told.new != 1]}" + (f", {told.failed} failed" if told.failed else "")
        if told.endless:
            said += f" ({told.endless} of them with a value that is no finite number)"
        if told.replaced:
            said += f"; replaced {told.replaced} that had been told otherwise"
        if told.known:
            said += f"; {told.known} stood already" + ", and nothing changes" * (not told.new and not told.replaced)
        click.echo(f"{said}.")
        still = state_of(opened).open
        if told.verified and not any(training.stage == "verify" for training in still):
            _conclude(opened, generated)
        best, found = best_line(opened), len(engine_of(opened).ranking())
        if best:
            click.echo(best[0])
            click.echo(f"  {opened.path / 'hall_of_fame.csv'}")
        if still:
            click.echo(f"Open: {telling.open_lines(still)}.")
        click.echo("Go on with:")
        click.echo(f"  lossgen ask {path}")
        if best and not told.verified:
            click.echo(f"  lossgen ask {path} --verify")
            few = f"{found} are a sample of the space rather than a search of it, and " * (found < FEW)
            click.echo(f"The best was chosen by these results: {few}only the fresh seeds of --verify judge it.")


@contextmanager
def _open(name: str, given: dict[str, Any], may_create: bool) -> "Iterator[tuple[Run, bool]]":
    """The run that is meant, and whether it was made."""
    from lossgen.evolution.asked import ask_config
    from lossgen.evolution.run import create_run, open_run

    path, exists = _locate(name, bool(given), may_create)
    config = ask_config(**(NEW | given)) if given or not exists else None
    if exists:
        with open_run(path) as run:
            _notes(run)
            _refuse_changes(run, given, config)
            yield run, False
    elif config is not None:
        with create_run(path, config) as run:
            yield run, True


def _locate(name: str, new: bool, may_create: bool) -> tuple[Path, bool]:
    """The folder of a run, and whether there is one. A bare name of a new one means a folder under ./runs.

    Args:
        new: whether flags of a new run are given: the beginning of another's name is not meant then.
    """
    from lossgen.evolution.run import CONFIG, LOCK, LOGS, RUNS, find_run

    path = Path(name)
    bare = name == path.name and name not in ("", "..") and not path.exists()
    place = RUNS / name if bare else path
    if (place / CONFIG).is_file():
        return place, True
    begun = bare and any(found.parent.name.startswith(name) for found in RUNS.glob(f"*/{CONFIG}"))
    if not may_create or name == "" or (begun and not new):
        return find_run(name), True
    if place.exists() and (not place.is_dir() or any(e.name not in (LOCK, LOGS) for e in place.iterdir())):
        raise InputError(f"run {place}: is there, but no run; give another name, or a new or empty folder")
    return place, False


def _refuse_changes(run: "Run", given: dict[str, Any], config: "RunConfig | None") -> None:
    """Let flags of a new run stand where they say what the run began with."""
    if config is None:
        return
    names = {"metric": "options", "scale_free": "options", "space": "space_text"}
    for name in given:
        field = names.get(name, name)
        if run.config.kind != "ask" or getattr(run.config, field) != getattr(config, field):
            flag = f"--{'seed-loss' if name == 'seed_losses' else name.replace('_', '-')}"
            raise InputError(f"{flag}: run {run.path} goes on as it began; leave it out, or give a new run's name")


def _notes(run: "Run") -> None:
    for note in run.notes:
        click.echo(note, err=True)


def _created(run: "Run") -> str:
    config, options = run.config, run.config.options
    how = "minimised" if options["direction"] == "min" else "maximised"
    scale = (
        "are the same loss"
        if options["scale_free"]
        else "are different ones (--scale-free: the same, as Adam trains them)"
    )
    return (
        f"Created {run.path}: space {config.space}, seed {config.seed}; {options['metric']} is {how}, "
        f"{config.seeds} training{'s'[: config.seeds != 1]} a loss; losses that differ by a factor {scale}."
    )


def _say(run: "Run", handout: "Handout", before: int) -> None:
    """What was written, and what to do with it."""
    from lossgen.evolution.asked import objective_of
    from lossgen.language.printer import formula
    from lossgen.report.tables import setting_text

    if handout.earlier:
        click.echo("An ask that was cut off had chosen these; ask again for more.")
    count, each = len(handout.trainings), len(handout.files)
    click.echo(f"{each} loss{'es'[: 2 * (each != 1)]}, {count} training{'s'[: count != 1]}, in {handout.folder}:")
    for path, entry in handout.files:
        click.echo(f"  {path.name}  {formula(entry.loss)}")
    if before:
        more = "training was asked for before and is" if before == 1 else "trainings were asked for before and are"
        click.echo(f"{before} more {more} open; --again writes all that is open.")
    metric, _ = objective_of(run)
    click.echo(
        f"Train each on its seeds and fill in {metric} in {handout.table.name}: nothing while a training is open, "
        "failed where it failed. The column status may stay empty, or say ok or failed."
    )
    if run.config.kind == "evolve":
        setting = setting_text(run.archive.meta("protocol", {}))
        click.echo(f"Values are compared with the run's own, so measure and train as it did ({setting}).")
    click.echo("Then:")
    click.echo(f"  lossgen tell {shlex.quote(str(run.path))} {shlex.quote(str(handout.table))}")


def _conclude(run: "Run", generated: Path) -> None:
    """Print the verification, and write what a search ends with."""
    from lossgen.evolution.asked import engine_of
    from lossgen.evolution.discover import Discovery
    from lossgen.evolution.events import Plan
    from lossgen.evolution.verifying import conclude
    from lossgen.language.printer import formula
    from lossgen.report.comparison import comparison_table
    from lossgen.report.live import console_for
    from lossgen.report.summary import write_discovery
    from lossgen.report.tables import verdict_lines

    verified = conclude(run, generated)
    if verified is None:
        return
    comparison = verified.comparison
    (champion,) = comparison.of("champion")
    console = console_for()
    console.print(comparison_table(comparison, "trained elsewhere"), highlight=False, crop=False)
    for line in verdict_lines(verified.verdict, len(engine_of(run).trained)):
        click.echo(line)
    plan = Plan(0, 0, 0, 0, None, 0, None, 1, comparison.direction == "min", [])
    for path in write_discovery(run, Discovery(comparison, champion, verified.verdict, verified.file, plan)):
        click.echo(f"  {path}")
    click.echo(f"Champion: {formula(verified.champion.loss)}")
    if verified.champion.digest not in {individual.entry.digest for individual in engine_of(run).trained}:
        click.echo(f"{champion.name} is the best loss that was found, simplified, and so has another name.")
    click.echo(f"  {verified.file}")
