"""The commands that look: data, runs, show, report and doctor."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossgen.cli.flags import SETTINGS
from lossgen.errors import InputError
from lossgen.runner import DataSpec, Fit

if TYPE_CHECKING:
    from lossgen.evolution.archive import Archive


@click.command(context_settings=SETTINGS)
@click.argument("name", required=False, metavar="[NAME|PATH]")
@click.option("--data-dir", default=None, help="Folder that names are looked up in; else LOSSGEN_DATA.")
@click.option("--image-size", type=click.IntRange(min=1), help="Side in pixels; else the largest that fits.")
@click.option("--fit", type=click.Choice(["pad", "crop", "stretch"]), default="pad", help="How images become square.")
@click.option("--download", is_flag=True, help="Fetch the data set where it is absent.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Where to draw the contact sheet; else <name>.png.")
def data(
    name: str | None, data_dir: str | None, image_size: int | None, fit: Fit, download: bool, sheet: Path | None
) -> None:
    """List the data sets at hand, or describe one: counts, sizes, duplicates, a contact sheet."""
    from lossgen.gan.describe import available, describe

    if name is None:
        from lossgen.report.tables import source_lines

        for line in source_lines(available(data_dir)):
            click.echo(line)
        return
    found = describe(DataSpec(name, data_dir, image_size, fit, download))
    for line in found.lines():
        click.echo(line)
    path = sheet or Path(f"{Path(name).stem}.png")
    if sheet is None and path.exists():
        click.echo(f"contact sheet: {path} is there already and is left as it is; --sheet FILE draws another")
        return
    found.contact_sheet(path)
    click.echo(f"contact sheet: {path}")


@click.command(context_settings=SETTINGS)
def runs() -> None:
    """List the runs under ./runs."""
    from lossgen.evolution.run import RUNS
    from lossgen.report.tables import run_lines

    rows = run_lines(RUNS)
    for row in rows:
        click.echo(row)
    if not rows:
        click.echo(f"no runs under ./{RUNS}; `lossgen evolve` makes one")


@click.command(context_settings=SETTINGS)
@click.argument("run", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="The whole record: equal for equal runs; or the lineage.")
@click.option("--csv", "as_csv", is_flag=True, help="Every candidate with its fate and outcome.")
@click.option("--lineage", metavar="LOSS", help="How a loss came to be: `champion`, a name, or a digest's beginning.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw the lineage (else the champion's): .png, .svg, .pdf."
)
@click.option("--graphml", type=click.Path(path_type=Path), help="Write the lineage as GraphML; else the whole run's.")
def show(run: str, as_json: bool, as_csv: bool, lineage: str | None, plot: Path | None, graphml: Path | None) -> None:
    """Show what a run has found out: its folder, or a prefix of its name under ./runs."""
    from lossgen.cli.outputs import check_folder
    from lossgen.evolution.run import open_run
    from lossgen.files import without_nan
    from lossgen.report.canvas import check_picture
    from lossgen.report.tables import candidates_csv, show_lines

    if as_json and as_csv:
        raise InputError("show: give --json or --csv, not both")
    if as_csv and lineage is not None:
        raise InputError("show: give --csv or --lineage, not both")
    if plot is not None:
        check_picture(plot)
    for flag, path in (("--plot", plot), ("--graphml", graphml)):
        if path is not None:
            check_folder(path, flag)
    with open_run(run, locked=False) as opened:
        if lineage is not None or plot or graphml:
            told = _lineage(opened.archive, lineage, as_json, plot, graphml)
        if lineage is not None:
            for line in told:
                click.echo(line)
        elif as_json:
            click.echo(json.dumps(without_nan(opened.record()), indent=2, sort_keys=True))
        elif as_csv:
            click.echo(candidates_csv(opened.archive), nl=False)
        else:
            for line in show_lines(opened):
                click.echo(line)
    for flag, path in (("--plot", plot), ("--graphml", graphml)):
        if path is not None:
            click.echo(f"{flag[2:]}: {path}", err=as_json or as_csv)


@click.command(context_settings=SETTINGS)
@click.argument("run", metavar="RUN")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; else report.html in the folder.")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def report(run: str, out: Path | None, opens: bool) -> None:
    """Write the report of a run or a ladder anew: one HTML file, which holds all that it shows.

    RUN is its folder, or a prefix of its name under ./runs. A run that ends writes its report itself, and one that goes
    on writes it anew from time to time.
    """
    from lossgen.api.reporting import write

    path = write(run, out)
    click.echo(str(path))
    if opens:
        click.launch(path.absolute().as_uri())


@click.command(context_settings=SETTINGS)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at what lossgen runs on: what works, and what to do about what does not.

    Python, packages, PyTorch and GPUs, cores, the engine with its Numba cache, the C++ compiler, data, disks, extras.
    Ends with exit code 1 where something is a problem. Changes nothing.
    """
    from lossgen.api.doctor import examine

    marks = {"ok": "✓", "note": "·", "problem": "✗"}
    found = []
    for each in examine():
        found.append(each)
        if not as_json:
            click.echo(f"{marks[each.state]} {each.name:<18} {each.what}")
            if each.advice:
                click.echo(f"  {'':<18} → {each.advice}")
    problems = [each.name for each in found if each.state == "problem"]
    if as_json:
        click.echo(json.dumps([each.as_json() for each in found], indent=2, ensure_ascii=False))
    else:
        click.echo(f"\nProblems: {', '.join(problems)}." if problems else "\nNo problems.")
    if problems:
        ctx.exit(1)


def _lineage(archive: "Archive", loss: str | None, as_json: bool, plot: Path | None, graphml: Path | None) -> list[str]:
    """Draw and write where a loss comes from, and tell it; without one the champion is drawn, and all are written."""
    from lossgen.evolution.lineage import CHAMPION, ancestry, find_loss, lineage
    from lossgen.files import without_nan
    from lossgen.report.lineage import lineage_json, story, write_graphml
    from lossgen.report.lineage_picture import draw_lineage

    everything = lineage(archive)
    if loss is None and plot is None:
        graph, told = everything, []
    else:
        digest = find_loss(archive, everything, CHAMPION if loss is None else loss)
        graph = ancestry(everything, digest)
        record = [json.dumps(without_nan(lineage_json(graph, digest)), indent=2)] if as_json else None
        told = record or list(story(archive, graph, digest))
    if plot is not None:
        draw_lineage(graph, digest, plot)
    if graphml is not None:
        write_graphml(everything if loss is None else graph, graphml)
    return told
