"""How close generated images are to real ones, for any two folders or files: `lossgen score` and `lossgen.score`.

found = lossgen.score("scans/", "generated.npz")
print(*found.lines(), sep="\\n")
found.metrics["KID[classifier]"]
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lossgen.errors import InputError
from lossgen.gan.data import Dataset, ImageSet, digest_of
from lossgen.gan.duplicates import across, fingerprint, within
from lossgen.gan.extractors import OWN, Extractor, few_images
from lossgen.gan.extrapolation import fewest_samples
from lossgen.gan.features import FEWEST, load_extractor, why_no_classifier
from lossgen.gan.images import FITS, Fit, Pixels
from lossgen.gan.metrics import frechet_distance, moments
from lossgen.gan.neighbours import K
from lossgen.gan.quality import quality
from lossgen.gan.raw import SPLITS, RawData, fit_all
from lossgen.gan.sampling import check_device
from lossgen.gan.scored import Score, SetScored
from lossgen.gan.sources import read
from lossgen.gan.splits import complete, plural
from lossgen.runner import DataSpec

_LARGEST = 64
"""Side in pixels that the small networks look at, at most."""
_INCEPTION = 299
"""Side in pixels that the Inception network looks at."""


def score(
    real: str | Path,
    fake: str | Path,
    *,
    extractor: str | Extractor | None = None,
    weights: str | Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    fit: Fit = "pad",
    device: str = "cpu",
    seed: int = 0,
    k: int = K,
) -> Score:
    """Metrics of generated images against real ones.

    Of the real images the test split is compared, where they come with one, else all of them; but a classifier is
    trained on a part of them (train), and then the rest is compared.

    Args:
        real, fake: each a folder of images, an .npz file, or the name of a data set.
        extractor: "classifier", "inception", "random", or one made by `extractors.module_extractor`; None takes a
            classifier where the real images have labels, else "random".
        weights: file of the Inception network's weights, for "inception".
        download: whether these may be fetched where they are absent.
        image_size: side in pixels; None takes the images' own where all are alike, else the largest that enlarges none,
            and no more than the extractor looks at.
        fit: how an image that is not square becomes so.
        seed: of the split that may have to be made, and of the subsets of KID and FD∞.
        k: of the neighbourhoods.

    Raises:
        InputError: images that cannot be read or compared, too few of them, or an extractor that cannot be had.
    """
    _check(str(real), str(fake), extractor, fit, image_size, k, seed)
    check_device(device)
    of_real, of_fake = (read(DataSpec(str(name))) for name in (real, fake))
    kind = extractor.kind if isinstance(extractor, Extractor) else extractor or _kind(of_real, seed)
    of_real, compared, how = _compared(of_real, kind, seed)
    _check_counts({"REAL": (of_real, compared), "FAKE": (of_fake, tuple(of_fake.splits))}, k)
    used = (*(["train"] if kind == "classifier" else []), *compared)
    size = image_size or _size([(of_real, used), (of_fake, tuple(of_fake.splits))], fit, kind)
    sets = {split: fit_all(of_real.splits[split].images, size, fit)[0] for split in used}
    fakes = [fit_all(split.images, size, fit)[0] for split in of_fake.splits.values()]
    channels = max(pixels.shape[-1] for pixels in sets.values())
    if channels != max(pixels.shape[-1] for pixels in fakes):
        colours = ("in colour", "grey") if channels == 3 else ("grey", "in colour")
        raise InputError(f"score: {real} is {colours[0]} and {fake} is {colours[1]}; convert the one like the other")
    reals, generated = (_joined(part, channels) for part in ([sets[split] for split in compared], fakes))
    if isinstance(extractor, Extractor):
        chosen = extractor
    else:
        data = _dataset(of_real, sets, compared, reals, channels)
        chosen = load_extractor(data, _asked(extractor, kind), weights, download)
    chosen = replace(chosen, remark=few_images(chosen, {"REAL": len(reals), "FAKE": len(generated)}))
    return _measured(
        SetScored("REAL", str(real), how, len(reals)), SetScored("FAKE", str(fake), "all of it", len(generated)),
        reals, generated, chosen, device, k, seed, _notes(of_real, of_fake, reals, generated, compared),
    )  # fmt: skip


def _measured(
    real: SetScored, fake: SetScored, reals: Pixels, fakes: Pixels, extractor: Extractor, device: str, k: int,
    seed: int, notes: list[str],
) -> Score:  # fmt: skip
    try:
        extractor.net.to(device)
        of_real, of_fake = (
            extractor.features(torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))))
            for pixels in (reals, fakes)
        )
    except torch.cuda.OutOfMemoryError:
        raise InputError(
            f"score: the memory of {device} is full; give a smaller --image-size, or --device cpu"
        ) from None
    found = quality(of_real, of_fake, k, seed)
    fewest = fewest_samples(of_real.shape[1])
    if found.at_infinity is None:
        notes.append(f"{extractor.title('FD∞')} is left out: it takes at least {fewest} images of each set.")
    distance = frechet_distance(moments(of_real), moments(of_fake))
    metrics = {extractor.title(name): value for name, value in {"FD": distance, **found.values()}.items()}
    return Score(
        real, fake, int(reals.shape[1]), int(reals.shape[-1]), extractor, metrics, found.kernel, k, seed, tuple(notes)
    )


def _check(
    real: str, fake: str, extractor: str | Extractor | None, fit: str, image_size: int | None, k: int, seed: int
) -> None:
    if real == fake or (Path(real).exists() and Path(fake).exists() and Path(real).samefile(fake)):
        raise InputError(f"score: REAL and FAKE are both {real}; give two sets of images")
    if isinstance(extractor, str) and extractor not in OWN:
        raise InputError(f"extractor {extractor}: unknown; choose one of {', '.join(OWN)}")
    if fit not in FITS:
        raise InputError(f"fit {fit}: unknown; choose one of {', '.join(FITS)}")
    if k < 1 or seed < 0 or (image_size is not None and image_size < 1):
        raise InputError("score: k and the image size are 1 or more, and the seed 0 or more")


def _kind(data: RawData, seed: int) -> str:
    """What fits: a classifier where its part of the images is enough to train one on."""
    train = data.splits["train"]
    if "test" not in data.splits and len(train.images) >= FEWEST:
        train = complete(data, seed).splits["train"]
    return "random" if why_no_classifier(len(train.images), train.labels, len(data.classes)) else "classifier"


def _asked(extractor: str | None, kind: str) -> str | None:
    """None where the choice was not the user's, so that the extractor says what it was made for."""
    return extractor if extractor is not None or kind == "classifier" else None


def _compared(data: RawData, kind: str, seed: int) -> tuple[RawData, tuple[str, ...], str]:
    """The real images, with the splits that are needed; those that are compared; and that in words."""
    if "test" in data.splits:
        trained = "; the classifier is trained on train" if kind == "classifier" else ""
        return data, ("test",), f"its test split{trained}"
    if kind != "classifier":
        return data, tuple(data.splits), "all of it"
    split = complete(data, seed)
    count = len(split.splits["train"].images)
    return split, ("validation", "test"), f"a part made by seed {seed}; the classifier is trained on the other {count}"


def _check_counts(sets: dict[str, tuple[RawData, tuple[str, ...]]], k: int) -> None:
    for role, (data, splits) in sets.items():
        count = sum(len(data.splits[split].images) for split in splits)
        if count <= k:
            raise InputError(
                f"score: {role} {data.name} gives {plural(count, 'image')} to compare, and neighbourhoods of k = {k} "
                f"take at least {k + 1}; give more images" + ("" if k == 1 else ", or a smaller --k")
            )


def _size(sets: list[tuple[RawData, tuple[str, ...]]], fit: Fit, kind: str) -> int:
    shapes = np.concatenate([data.splits[split].images.shapes for data, splits in sets for split in splits])
    alike = bool((shapes == shapes[0, 0]).all())
    largest = int(shapes[0, 0] if alike else (shapes.max(axis=1) if fit == "pad" else shapes.min(axis=1)).min())
    if kind in ("classifier", "random"):
        return min(largest, _LARGEST)
    return largest if alike or kind != "inception" else min(largest, _INCEPTION)


def _joined(parts: list[Pixels], channels: int) -> Pixels:
    return np.concatenate([np.repeat(p, channels, axis=-1) if p.shape[-1] < channels else p for p in parts])


def _dataset(
    data: RawData, sets: dict[str, Pixels], compared: tuple[str, ...], reals: Pixels, channels: int
) -> Dataset:
    """The real images as the extractors take them; for a random one, whose weights see no image, all are as one."""

    def split(pixels: Pixels, labels: Any) -> ImageSet:
        return ImageSet(np.ascontiguousarray(_joined([pixels], channels).transpose(0, 3, 1, 2)), labels)

    labels = [data.splits[name].labels for name in compared]
    known = None if any(part is None for part in labels) else np.concatenate([p for p in labels if p is not None])
    test = split(reals, known)
    train = split(sets["train"], data.splits["train"].labels) if "train" not in compared and "train" in sets else test
    parts = dict(zip(SPLITS, (train, test, test), strict=True))
    return Dataset(data.name, train, test, test, data.classes, digest_of(parts), ())


def _notes(real: RawData, fake: RawData, reals: Pixels, fakes: Pixels, compared: tuple[str, ...]) -> list[str]:
    notes = []
    size = reals.shape[1]
    for role, data, splits in (("REAL", real, compared), ("FAKE", fake, tuple(fake.splits))):
        notes += [f"{role}: {note}" for note in data.notes]
        shapes = np.concatenate([data.splits[split].images.shapes for split in splits])
        if resized := int((shapes != size).any(axis=1).sum()):
            larger = int((shapes.max(axis=1) < size).sum())
            enlarged = f", {larger} of them enlarged" if larger else ""
            notes.append(
                f"{role}: {resized} of {plural(len(shapes), 'image')} resized to {size} × {size} pixels (Lanczos, "
                f"antialiased){enlarged}."
            )
    prints = {"REAL": [fingerprint(image) for image in reals], "FAKE": [fingerprint(image) for image in fakes]}
    for role, own in prints.items():
        if count := within(own):
            notes.append(f"{count} of the {len(own)} images of {role} repeat{'s' * (count == 1)} another one exactly.")
    if count := across(prints).get(("REAL", "FAKE"), 0):
        is_are = "is" if count == 1 else "are"
        notes.append(
            f"{count} of the {len(fakes)} images of FAKE {is_are} in REAL, pixel by pixel: copies make every metric "
            "look better."
        )
    return notes
