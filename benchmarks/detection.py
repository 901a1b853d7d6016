"""What tells anomalous images without any GAN? Four scores that train nothing, for a detector to be held beside.

    LOSSGEN_DATA=DIR python benchmarks/detection.py [--out benchmarks/results/detection.json]

On the splits of the runner `anomaly` (PneumoniaMNIST, 28 pixels, class 0 normal; fundus, 32 pixels, normal against
glaucoma): the distance to the nearest normal training image in pixels, that to their mean, the distance to the plane of
their first 32 principal components, and how low the contrast of the image is, its standard deviation with the sign
turned. And one that is taught with labels, which a detector does not have: the small classifier that judges samples.
AUROC and average precision on the validation split and on the test split, with 95 % bootstrap intervals, and how many
images of each kind the classifier takes for what they are. Ten minutes, most of it for the two classifiers.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from lossgen.evolution.run import versions
from lossgen.gan.data import ImageSet, load
from lossgen.gan.detection import Roles, detection, of_kind, roles
from lossgen.gan.features import load_extractor
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.sampling import to_unit
from lossgen.runner import DataSpec

DATA = (("pneumoniamnist", 28, "0", ""), ("odir5k_64", 32, "normal", "glaucoma"))
COMPONENTS = 32

Floats = NDArray[np.float64]


def flat(images: NDArray[np.uint8]) -> Floats:
    """(N, pixels), in [0, 1]."""
    return images.reshape(len(images), -1) / 255.0


@torch.no_grad()
def taught(net: torch.nn.Module, images: NDArray[np.uint8], kinds: Roles) -> Floats:
    """Log-odds of an image's being anomalous by a classifier."""
    scores = torch.cat([net(to_unit(chunk)) for chunk in torch.from_numpy(images).split(256)]).double()
    odds = scores[:, list(kinds.anomalous)].logsumexp(1) - scores[:, list(kinds.normal)].logsumexp(1)
    return odds.numpy()


def scored(normal: Floats, images: Floats) -> Mapping[str, Floats]:
    """Scores of `images` by name, higher meaning anomalous, given normal training images."""
    mean = normal.mean(0)
    axes = np.linalg.svd(normal - mean, full_matrices=False)[2][:COMPONENTS]
    away = images - mean
    return {
        "nearest normal image": np.array([np.square(normal - image).sum(1).min() for image in images]),
        "mean normal image": np.square(away).sum(1),
        f"{COMPONENTS} principal components": np.square(away - away @ axes.T @ axes).sum(1),
        "low contrast": -images.std(1),
    }


def tested(part: ImageSet, kinds: Roles, known: Floats, net: torch.nn.Module) -> dict[str, Any]:
    """Of each score how well it tells the anomalous images of a split; and what share of either kind the classifier
    takes for what it is."""
    rows = of_kind(part, (*kinds.normal, *kinds.anomalous))
    odd, odds = of_kind(part, kinds.anomalous)[rows], taught(net, part.images[rows], kinds)
    scores = {**scored(known, flat(part.images[rows])), "classifier, with labels": odds}
    return {
        "scores": {score: asdict(detection(values, odd)) for score, values in scores.items()},
        "known": {"normal": float((odds[~odd] < 0).mean()), "anomalous": float((odds[odd] > 0).mean())},
    }


@click.command(help=__doc__)
@click.option("--out", default="benchmarks/results/detection.json", type=click.Path(path_type=Path), show_default=True)
def main(out: Path) -> None:
    found = []
    for name, size, normal, anomalous in DATA:
        data = load(DataSpec(name, image_size=size), tuple(SIZES))
        kinds = roles(data, normal, anomalous)
        known = flat(data.train.images[of_kind(data.train, kinds.normal)])
        net = load_extractor(data, "classifier").net
        splits = {split: tested(getattr(data, split), kinds, known, net) for split in ("validation", "test")}
        print(f"{name} at {size} pixels, {kinds.title}: AUROC (95 % interval) on validation and on test")
        for score in splits["test"]["scores"]:
            print(f"  {score:<26}" + "   ".join(said(split["scores"][score]) for split in splits.values()))
        shares = [f"{split['known']['normal']:.1%} and {split['known']['anomalous']:.1%}" for split in splits.values()]
        print(f"  normal and anomalous images that the classifier knows: {'; on test '.join(shares)}")
        found.append({"data": name, "size": size, "roles": kinds.title, **splits})
    result = {"schema": 1, "versions": versions(), "found": found}
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {out}")


def said(one: Mapping[str, Any]) -> str:
    low, high = one["auroc_interval"]
    return f"{one['auroc']:.3f} ({low:.3f} – {high:.3f})"


if __name__ == "__main__":
    main()
