"""Models that a run has kept, measured anew: by another extractor, without training anything again."""

from pathlib import Path

import torch

from lossgen.gan.data import load
from lossgen.gan.features import Judge, load_extractor
from lossgen.gan.sampling import load_model, sample
from lossgen.runner import DataSpec


class Rejudge:
    """Measures generators of one data set against its test split in the features of an extractor.

    Args:
        model: any of the models; the images are taken at its size.
        data: what it was trained on.
        extractor: "classifier", "inception" or "random".
        n_samples: images drawn of each.
        weights: file of the Inception network's weights.

    Attributes:
        metric: what the Fréchet distance is called.

    Raises:
        InputError: the data or the extractor cannot be had.
    """

    def __init__(
        self, model: Path, data: DataSpec, extractor: str, n_samples: int, weights: str = "", device: str = "cpu"
    ) -> None:
        _, architecture, _ = load_model(model)
        loaded = load(data, [architecture.size])
        chosen = load_extractor(loaded, extractor, weights or None, data.download)
        self._judge = Judge(loaded, chosen, n_samples, device)
        self._device = device
        self.metric = self._judge.metric

    @property
    def description(self) -> str:
        """What judges, in a sentence or two."""
        return self._judge.description()

    def title(self, metric: str) -> str:
        """What a metric ("FD", "KID", "coverage") against the test split is called."""
        return f"{self._judge.extractor.title(metric)} test"

    def measure(self, model: Path) -> dict[str, float]:
        """Metrics of the images that a model draws from its training's own noise, by name."""
        images = torch.from_numpy(sample(model, self._judge.n_samples, device=self._device)).to(self._device)
        return {**self._judge(images), **self._judge.full(images)}
