"""The commands on losses and what was trained with them: compile, inspect and sample."""

import json
from pathlib import Path

import click

from lossgen.cli.flags import SETTINGS
from lossgen.errors import CheckError, InputError


@click.command("compile", context_settings=SETTINGS)
@click.argument("losses", nargs=-1, metavar="LOSS...")
@click.option("--name", help="Name of the emitted class, for a single LOSS.")
@click.option("-o", "--output", type=click.Path(), help="The .py file to write, for a single LOSS; - prints it.")
@click.option("--target", type=click.Choice(["torch", "keras", "numpy"]), default="torch", help="Library to emit for.")
@click.option("--full", is_flag=True, help="Also check autocast, half precision, torch.func, export and compile.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where an emitted file is not up to date.")
@click.option("--trust", is_flag=True, help="Read .py files whose code is not what lossgen would write.")
def compile_(
    losses: tuple[str, ...],
    name: str | None,
    output: str | None,
    target: str,
    full: bool,
    check: bool,
    trust: bool,
) -> None:
    """Emit the source file of each LOSS, after proving it equal to the loss in value and gradient.

    A .loss file's is written beside it (foo.loss to foo.py, with --target keras to foo_keras.py, with --target numpy,
    which has no gradients, to foo_numpy.py), any other is printed, unless -o says where. Without LOSS: all .loss files
    in ./generated and the folders in it.
    """
    from lossgen.cli.outputs import check_output, check_replaceable
    from lossgen.cli.screened import warn_of_rejection
    from lossgen.codegen.full_checks import full_checks
    from lossgen.codegen.load import load_argument
    from lossgen.codegen.targets import TARGETS, verify
    from lossgen.files import write_text

    if not losses:
        losses = tuple(str(path) for path in sorted(Path("generated").rglob("*.loss")))
        if not losses:
            raise InputError("compile: give a LOSS, or run it where ./generated holds .loss files")
    if len(losses) > 1 and (name is not None or output):
        raise InputError("compile: --name and -o belong to a single LOSS")
    if full and (check or target != "torch"):
        raise InputError("compile: --full checks PyTorch files that are written; leave out --check and --target")
    given = Path("-") if output == "-" else check_output(output, losses) if output is not None else None
    missing, stale = [], []
    row = TARGETS[target]
    for text in losses:
        loss = load_argument(text, trust).loss
        loss = loss.renamed(name) if name is not None else loss
        source = row.emit(loss)
        is_file = text.endswith(".loss") and Path(text).is_file()
        path = given or (row.beside(Path(text)) if is_file else None)
        if check:
            if path is None:
                raise InputError(f"compile --check: {text} has no file to check; give a .loss file, or -o FILE")
            if not path.is_file():
                missing.append(str(path))
            elif path.read_bytes() != source.encode():
                stale.append(str(path))
            continue
        if path is not None and str(path) != "-":
            check_replaceable(path)
        warn_of_rejection(loss, "emitted")
        verify(row, loss, source)
        if full:
            for line in full_checks(loss, source):
                click.echo(f"{loss.name}: {line}", err=path is None or str(path) == "-")
        if path is None or str(path) == "-":
            click.echo(source, nl=False)
            continue
        write_text(path, source)
        click.echo(f"{path}: {row.what} {loss.name}, equal to the loss in {row.proven_in}")
    if missing or stale:
        again = "lossgen compile" + (f" --target {target}" if target != "torch" else "")
        found = [
            f"{what}: {', '.join(paths)}" for what, paths in (("missing", missing), ("not up to date", stale)) if paths
        ]
        raise CheckError(f"{'; '.join(found)}; run `{again}` on the sources")


@click.command(context_settings=SETTINGS)
@click.argument("loss", metavar="LOSS")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw value and gradient beside BCE and GANetic.")
@click.option("--tree", type=click.Path(path_type=Path), help="Draw the expression tree. Pictures: .png, .svg, .pdf.")
@click.option("--mathml", is_flag=True, help="Only as MathML, a line an equation; --json holds it, too.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="As JSON; its keys: docstring of lossgen.report.inspection.Inspection.as_json",
)
@click.option("--trust", is_flag=True, help="Read a .py file whose code is not what lossgen would write.")
def inspect(loss: str, plot: Path | None, tree: Path | None, mathml: bool, as_json: bool, trust: bool) -> None:
    """Show a loss: its text, a simpler form, its derivative, its card."""
    from lossgen.cli.outputs import check_folder
    from lossgen.codegen.load import load_argument
    from lossgen.files import without_nan
    from lossgen.language.mathml import loss_mathml
    from lossgen.report.canvas import check_picture
    from lossgen.report.inspection import inspection

    if as_json and mathml:
        raise InputError("inspect: give --json or --mathml, not both; --json holds the MathML, too")
    for flag, picture in (("--plot", plot), ("--tree", tree)):
        if picture is not None:
            check_picture(picture)
            check_folder(picture, flag)
    shown = load_argument(loss, trust).loss
    if as_json:
        click.echo(json.dumps(without_nan(inspection(shown).as_json()), indent=2))
    else:
        for line in loss_mathml(shown) if mathml else inspection(shown).lines():
            click.echo(line)
    if plot is not None:
        from lossgen.report.curves import beside_known, loss_curves

        loss_curves(beside_known(shown), plot)
        click.echo(f"plot: {plot}", err=as_json or mathml)
    if tree is not None:
        from lossgen.report.tree import draw_trees

        draw_trees(shown, tree)
        click.echo(f"tree: {tree}", err=as_json or mathml)


@click.command(context_settings=SETTINGS)
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
@click.option("-n", "count", type=click.IntRange(min=1, max=1_000_000), default=64, help="Number of images.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="An .npz file, or a folder for PNGs.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the noise; else the training's own.")
@click.option("--class", "of_class", metavar="NAME", help="One class of a class-conditional generator; else all.")
@click.option("--device", default="cpu", help="cpu, or cuda.")
def sample(model: Path, count: int, out: Path, seed: int | None, of_class: str | None, device: str) -> None:
    """Draw images from a trained generator that a run has kept (runs/<run>/models/…/*.model.pt).

    Images of a class-conditional generator have their classes in the .npz file, or a folder a class. A data card lies
    beside them.
    """
    from lossgen import __version__
    from lossgen.gan.sampling import draw
    from lossgen.report.datacard import card_of, write_card
    from lossgen.report.images import write_images

    if not model.is_file():
        raise InputError(f"model {model}: no such file; a run keeps its generators in its models folder")
    drawn = draw(model, count, seed, device, of_class)
    card = card_of(drawn, model, __version__)
    write_images(drawn.images, out, drawn.labels, drawn.classes)
    write_card(card, out)
    click.echo(f"{count} images{f' of class {of_class}' if of_class is not None else ''}: {out}")
