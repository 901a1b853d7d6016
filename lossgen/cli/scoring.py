"""The command that measures images that are there: score."""

import json
from pathlib import Path

import click

from lossgen.cli.flags import SETTINGS
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
