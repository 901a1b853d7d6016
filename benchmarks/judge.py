"""Does the classifier that judges see what a person sees? Two of them, one taught by moved images, on the same models.

    lossgen compare bce lsgan hinge wasserstein ganetic --data NAME --out RUN
    python benchmarks/judge.py NAME RUN [--out benchmarks/results/judge.json]

Trains the small classifier of a data set of 16 pixels a side or more as lossgen does, on images that are moved at
random, and again on images as they are and for fewer steps, as below 16 pixels. Says how often each is right on the
test split, and the Fréchet distance of what each generator of a comparison draws from the test split, in the features
of each: the mean over seeds of a loss. Look at the samples beside it: `RUN/samples.png`. About 5 minutes.
"""

import json
import math
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
import torch

from lossgen.evolution.run import versions
from lossgen.gan import small_extractors
from lossgen.gan.data import load
from lossgen.gan.metrics import frechet_distance, moments
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.sampling import sample
from lossgen.runner import DataSpec


@click.command(help=__doc__)
@click.argument("data_name", metavar="NAME")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", default="benchmarks/results/judge.json", type=click.Path(path_type=Path), show_default=True)
def main(data_name: str, run: Path, out: Path) -> None:
    data = load(DataSpec(data_name), tuple(SIZES))
    if data.size < small_extractors.MOVED["from"]:
        raise click.UsageError(f"{data_name}: images of {data.size} pixels a side are never moved")
    models = sorted(run.glob("models/*/*.model.pt"))
    if not models:
        raise click.UsageError(f"{run}: no models in it; give a folder that `lossgen compare` wrote")
    drawn = {path: torch.from_numpy(sample(path, len(data.test))) for path in models}
    rows = []
    for moved in (True, False):
        if not moved:
            small_extractors.MOVED["from"] = math.inf
        with tempfile.TemporaryDirectory() as cache:
            os.environ["LOSSGEN_CACHE"] = cache
            judge = small_extractors.small_extractor(data, "classifier")
        reference = moments(judge.features(torch.from_numpy(data.test.images)))
        distances = defaultdict(list)
        for path, images in drawn.items():
            loss = path.parent.name.rpartition("-")[0]
            distances[loss].append(frechet_distance(reference, moments(judge.features(images))))
        row = {"moved": moved, "accuracy": judge.accuracy, "distances": distances}
        rows.append(row)
        means = {loss: float(np.mean(found)) for loss, found in distances.items()}
        order = ", ".join(f"{loss} {means[loss]:.3g}" for loss in sorted(means, key=means.__getitem__))
        print(f"images {'moved' if moved else 'as they are'}: {judge.accuracy:.1%} right; FD test {order}", flush=True)
    content = {"schema": 1, "data": data_name, "n": len(data.test), "rows": rows, "versions": versions()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
