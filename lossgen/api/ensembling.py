"""`lossgen ensemble`: which models of a pool to take together, and what classifiers learn from their images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, load
from lossgen.gan.downstream.classifiers import Recipe
from lossgen.gan.ensembles.downstream import check_arms, compare_arms
from lossgen.gan.ensembles.embedding import load_embedding
from lossgen.gan.ensembles.overlap import Overlaps, Variant
from lossgen.gan.ensembles.pool import check_there, read_pool
from lossgen.gan.ensembles.selection import TRIALS, How, pick, select
from lossgen.gan.extractors import Extractor
from lossgen.gan.features import load_extractor
from lossgen.gan.nets.dcgan import SIZES
from lossgen.gan.sampling import check_device
from lossgen.report.ensemble import EnsembleReport
from lossgen.runner import DataSpec

IMAGES = 500
REPETITIONS = 10
USUAL = Recipe()
TOLD = 500
"""Ensembles between two lines on progress."""


def ensemble(
    real: str | Path,
    pool: Sequence[str | Path],
    *,
    images: int = IMAGES,
    how: How = "auto",
    trials: int = TRIALS,
    variant: Variant = "symmetric",
    embedding: str | Extractor | None = None,
    weights: str | Path | None = None,
    image_size: int | None = None,
    downstream: bool = True,
    repetitions: int = REPETITIONS,
    positive: str | None = None,
    recipe: Recipe = USUAL,
    seed: int = 0,
    device: str = "cpu",
    out: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> EnsembleReport:
    """Choose an ensemble of GANs by how its images cover the real training images, and test it.

    Args:
        real: the data set; models are chosen by its training images, and its test split is for classifiers alone.
        pool: folders and .npz files of images by any GAN, model files, and folders that hold model files.
        images: of each model that are compared and trained on, and of real ones that are compared.
        how: of choosing; trials of tpe and nsga2.
        embedding: "classifier", "inception", "random", a Python file (`embedding.py`), or an `Extractor`.
        downstream: whether classifiers are trained; `repetitions` times, at least 10 for what is to be reported.
        positive: the class that a positive finding is; None is the last.
        out: folder to write to.

    Raises:
        InputError: a pool of fewer than two models, what cannot be read, or images without classes.
    """
    check_device(device)
    real, out, weights = str(real), Path(out) if out else None, Path(weights) if weights else None
    names = [str(each) for each in pool]
    check_there(names)
    data = load(DataSpec(real, image_size=image_size), tuple(SIZES))
    for note in data.notes:
        say(note)
    models = read_pool(names, data, images, seed)
    if positive is not None and positive not in data.classes:
        raise InputError(f"--positive {positive}: is none of the classes of {real}: {', '.join(data.classes)}")
    if downstream:
        check_arms(data, models)
    if "test" in data.made:
        say("The test split was made here: a GAN that was trained on all of these images has seen what is tested on.")
    if isinstance(embedding, Extractor):
        extractor = embedding
    elif embedding is not None and embedding.endswith(".py"):
        extractor = load_embedding(Path(embedding))
    else:
        extractor = load_extractor(data, embedding, weights)
    overlaps = Overlaps(
        extractor.features(_few(data, images, seed)),
        [extractor.features(torch.from_numpy(model.images)) for model in models],
        variant=variant,
    )
    say(f"Pool: {len(models)} models, {overlaps.size} images of each; looking for ensembles")
    found = select(overlaps, how, trials, seed, lambda count: None if count % TOLD else say(f"{count} ensembles"))
    alone = [overlaps.alone(i) for i in range(len(models))]
    tested: Any = None
    label = data.classes.index(positive) if positive else max(0, len(data.classes) - 1)
    if downstream:
        best = max(range(len(models)), key=lambda i: alone[i].intra_d)
        tested = compare_arms(
            data, models, best, pick(found).models, recipe, label, repetitions, seed, device,
            lambda done: say(f"classifiers: {done} of {repetitions} repetitions"),
        )  # fmt: skip
    described = [
        f"Pool of {len(models)} models, {overlaps.size} images of each, against {min(images, len(data.train))} "
        f"training images of {real}; k = {overlaps.k}, {variant} overlaps.",
        f"Embedding: {extractor.description()}",
    ]
    if downstream:
        described.append(
            f"Classifiers ({recipe.kind}) learn from {overlaps.size} generated images, or from all {len(data.train)} "
            f"real ones, in {recipe.steps} steps each."
        )
    report = EnsembleReport(
        [model.name for model in models], found, alone, described, tested, data.classes[label] if data.classes else ""
    )
    for line in report.lines():
        say(line)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        say("wrote " + "\n      ".join(map(str, report.write(out))))
    return report


def _few(data: Dataset, count: int, seed: int) -> torch.Tensor:
    """So many training images, drawn by seed."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(data.train), generator=generator)[:count].sort().values.numpy()
    return torch.from_numpy(data.train.take(rows).images)
