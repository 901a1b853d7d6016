"""The commands for images that are there: score, audit, augment and ensemble."""

import json
import os
from pathlib import Path
from typing import Any

import click

from lossgen.cli.flags import SETTINGS, Seconds
from lossgen.runner import Fit


@click.command(context_settings=SETTINGS)
@click.argument("real", metavar="REAL")
@click.argument("fake", metavar="FAKE")
@click.option(
    "--extractor",
    type=click.Choice(["classifier", "inception", "random"]),
    help="Whose features are compared; else a classifier where REAL has labels, and random where not.",
)
@click.option("--weights", type=click.Path(path_type=Path), help="Inception: its file of weights.")
@click.option("--download", is_flag=True, help="Inception: fetch the weights (95 MB) where they are absent.")
@click.option("--image-size", type=click.IntRange(min=1), help="Side in pixels; else the images' own, where it can be.")
@click.option("--fit", type=click.Choice(["pad", "crop", "stretch"]), default="pad", help="How images become square.")
@click.option("--device", default="cpu", help="cpu, or cuda.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of splits and subsets that are drawn.")
@click.option("--k", type=click.IntRange(min=1), default=5, help="Neighbours, of precision, recall and the like.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def score(
    real: str, fake: str, extractor: str | None, weights: Path | None, download: bool, image_size: int | None, fit: Fit,
    device: str, seed: int, k: int, as_json: bool,
) -> None:  # fmt: skip
    """Measure how close generated images are to real ones: FD (or FID), KID, precision, recall, density, coverage.

    REAL and FAKE are each a folder of images, an .npz file, or the name of a data set. FID is taken with --extractor
    inception only.
    """
    from lossgen.files import without_nan
    from lossgen.gan.scoring import score as measure

    found = measure(
        real, fake, extractor=extractor, weights=weights, download=download, image_size=image_size, fit=fit,
        device=device, seed=seed, k=k,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(without_nan(found.as_json()), indent=2, ensure_ascii=False))
        return
    for line in found.lines():
        click.echo(line)


@click.command(context_settings=SETTINGS)
@click.argument("real", metavar="REAL")
@click.argument("fake", metavar="FAKE")
@click.option("--held-out", metavar="SET", help="Real images that the generator was not trained on; else REAL's own.")
@click.option("--class", "of_class", metavar="NAME", help="The one class that FAKE is of, where its files do not say.")
@click.option("--groups", metavar="CSV", help="Coverage of groups: a file with the columns image and group.")
@click.option("--image-size", type=click.IntRange(min=4), help="Side in pixels; else that of FAKE.")
@click.option("--fit", type=click.Choice(["pad", "crop", "stretch"]), default="pad", help="How images become square.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of splits and of what is drawn.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write the page, its numbers and pictures to.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def audit(
    ctx: click.Context, real: str, fake: str, held_out: str | None, of_class: str | None, groups: str | None,
    image_size: int | None, fit: Fit, seed: int, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Check whether generated images may be handed on: copies, memorisation, duplicates, membership, coverage.

    REAL is what the generator was trained on, with the images that it was not trained on as its splits validation and
    test; FAKE is what it has generated. Each is a folder of images, an .npz file, or the name of a data set. Where FAKE
    has a data card that names its training images, all other images of REAL are those that it was not trained on; and
    the finding is written into the card. Ends with exit code 1 where a check fails or cannot be judged.
    """
    from lossgen.files import without_nan
    from lossgen.gan.auditing import audit as check
    from lossgen.report.auditing import audit_json, audit_lines, write_audit
    from lossgen.report.datacard import note_audit

    found = check(
        real, fake, held_out=held_out, of_class=of_class, groups=groups, image_size=image_size, fit=fit, seed=seed
    )
    content = json.dumps(without_nan(audit_json(found)), indent=2, ensure_ascii=False)
    click.echo(content if as_json else "\n".join(audit_lines(found)))
    written = note_audit(found, Path(fake))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        written += write_audit(found, out)
    if written:
        click.echo("\nwrote " + "\n      ".join(map(str, written)), err=as_json)
    if not found.passed:
        ctx.exit(1)


@click.command(context_settings=SETTINGS)
@click.argument("data", metavar="FOLDER")
@click.option("--time-limit", type=Seconds(), default="60m", show_default=True, help="Fit it into this time: 90s, 2h.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; else FOLDER-augmented.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; else one a core.")
@click.option("--device", default="cpu", help="cpu, or cuda.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of splits, GANs and classifiers.")
def augment(data: str, time_limit: float, out: Path | None, workers: int | None, device: str, seed: int) -> None:
    """Find out whether synthetic images help a classifier of your images, and get them if they do.

    FOLDER holds a folder of images a class (or is an .npz file, or the name of a data set). Nothing else is needed: a
    plan that fits into the time is shown with its price and carried out. It ends with a verdict, a table, a methods
    paragraph, and, where synthetic images helped and passed the audit, with the images.
    """
    from lossgen.api.augmenting import augment as run
    from lossgen.files import expanded

    beside = expanded(data).resolve()
    out = out or Path(
        os.path.relpath(beside.with_name(f"{beside.stem}-augmented") if beside.exists() else f"{data}-augmented")
    )
    run(data, time_limit, out, workers=workers, device=device, seed=seed, say=click.echo)


@click.command(context_settings=SETTINGS)
@click.argument("real", metavar="REAL")
@click.argument("pool", metavar="MODEL...", nargs=-1, required=True)
@click.option("--images", type=click.IntRange(min=20), default=500, show_default=True, help="Images of each model.")
@click.option(
    "--select", "how", type=click.Choice(["auto", "exhaustive", "tpe", "nsga2", "greedy"]), default="auto",
    help="How ensembles are looked for; auto looks at every one of up to 15 models, and else asks Optuna's TPE.",
)  # fmt: skip
@click.option("--trials", type=click.IntRange(min=2), default=1000, show_default=True, help="Of tpe and nsga2.")
@click.option("--variant", type=click.Choice(["symmetric", "authors"]), default="symmetric", help="Of the overlaps.")
@click.option(
    "--embedding", metavar="NAME",
    help="Whose features count: classifier, inception or random, or a .py file whose embedding() makes a torch module.",
)  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path), help="Inception: its file of weights.")
@click.option("--image-size", type=click.IntRange(min=8), help="Side in pixels; else the largest that enlarges none.")
@click.option("--downstream/--no-downstream", default=True, help="Train classifiers on the images.")
@click.option("--classifier", type=click.Choice(["small", "resnet18"]), default="small", help="resnet18 is for a GPU.")
@click.option("--repeats", type=click.IntRange(min=2), default=10, show_default=True, help="Classifiers of each kind.")
@click.option("--positive", metavar="CLASS", help="What a positive finding is; else the last class.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of what is drawn, and of classifiers.")
@click.option("--device", default="cpu", help="cpu, or cuda.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write the page, its numbers and picture to.")
def ensemble(
    real: str, pool: tuple[str, ...], images: int, how: Any, trials: int, variant: Any, embedding: str | None,
    weights: Path | None, image_size: int | None, downstream: bool, classifier: Any, repeats: int, positive: str | None,
    seed: int, device: str, out: Path | None,
) -> None:  # fmt: skip
    """Choose GANs whose images together cover the real ones, and overlap little.

    MODEL... are folders and .npz files of images by any GAN, model files of lossgen, or folders that hold some, such as
    a run. REAL is a data set: models are chosen by its training images; its test images are for classifiers alone.
    """
    from lossgen.api.ensembling import ensemble as run
    from lossgen.gan.downstream.classifiers import Recipe

    run(
        real, pool, images=images, how=how, trials=trials, variant=variant, embedding=embedding, weights=weights,
        image_size=image_size, downstream=downstream, recipe=Recipe(classifier), repetitions=repeats,
        positive=positive, seed=seed, device=device, out=out, say=click.echo,
    )  # fmt: skip
