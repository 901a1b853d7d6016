"""What came out of a comparison of two sets of images, as lines to print and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossgen.gan.extractors import Extractor
from lossgen.gan.kernel_distance import KernelDistance
from lossgen.gan.splits import plural

_MEANING = {
    "FD": "lower is better, and falls as N grows",
    "FD∞": "lower is better; without what few images add, so it may be below 0",
    "KID": "lower is better; about 0, on either side, for equal sets",
    "precision": "share of FAKE that lies among REAL",
    "recall": "share of REAL that lies among FAKE",
    "density": "how many of REAL lie around one of FAKE: 1 for equal sets, no upper end",
    "coverage": "share of REAL with one of FAKE nearby",
}


@dataclass(frozen=True)
class SetScored:
    """One of the two sets.

    Attributes:
        role: "REAL" or "FAKE".
        name: as the user gave it.
        part: which of its images are compared, in words.
        count: how many these are.
    """

    role: str
    name: str
    part: str
    count: int


@dataclass(frozen=True)
class Score:
    """Metrics of generated images against real ones, with what they depend on.

    Attributes:
        real, fake: the two sets.
        size: side of the square images in pixels, before the extractor.
        channels: 1 for grey, 3 for colour.
        extractor: whose features were compared.
        metrics: by name, as "FD[classifier]"; those that the images allow.
        kernel: KID with its standard deviation over subsets.
        k: of precision, recall, density and coverage.
        seed: of the subsets, and of a split that had to be made.
        notes: sentences for the user.
    """

    real: SetScored
    fake: SetScored
    size: int
    channels: int
    extractor: Extractor
    metrics: Mapping[str, float]
    kernel: KernelDistance
    k: int
    seed: int
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """The whole of it as plain text, ready to print."""
        titles = {self.extractor.title(name): meaning for name, meaning in _MEANING.items()}
        kid = self.extractor.title("KID")
        width = max(map(len, self.metrics))
        rows = [f"{'':<{width}}  {'value':>10}  {'N real':>7}  {'N fake':>7}"]
        for name, value in self.metrics.items():
            spread = f"± {self.kernel.std:.2g} over {self.kernel.subsets} subsets of {self.kernel.subset}; "
            rows.append(
                f"{name:<{width}}  {value:>10.4g}  {self.real.count:>7}  {self.fake.count:>7}  "
                + (spread if name == kid else "")
                + titles[name]
            )
        resized = "" if self.extractor.resize.startswith("none") else f"; then resized {self.extractor.resize}"
        colour = "grey" if self.channels == 1 else "colour"
        return [
            *(f"{s.role} {s.name}: {plural(s.count, 'image')}, {s.part}." for s in (self.real, self.fake)),
            f"Both in {colour}, {self.size} × {self.size} pixels{resized}.",
            self.extractor.description(), *self.notes, "", *rows, "",
            f"Extractor {self.extractor.kind}, digest {self.extractor.digest}; k = {self.k}, seed {self.seed}.",
            self.comparable(),
        ]  # fmt: skip

    def comparable(self) -> str:
        """What the numbers can and cannot be compared with, in a line."""
        if self.extractor.standard:
            return (
                "FID and KID compare with values of the same real images at the same N and image size, published ones "
                "included; FID at another N does not (papers mostly take 10 000 or 50 000)."
            )
        return (
            "These compare with other images scored against the same REAL, at the same N, image size, k and extractor "
            "digest, and with nothing else: they are no FID, and compare with no published value."
        )

    def as_json(self) -> dict[str, Any]:
        """The whole of it as JSON values."""
        extractor = self.extractor
        return {
            "schema": 1,
            **{
                s.role.lower(): {"name": s.name, "part": s.part, "count": s.count} for s in (self.real, self.fake)
            },
            "metrics": dict(self.metrics),
            "kid": {"std": self.kernel.std, "subset": self.kernel.subset, "subsets": self.kernel.subsets},
            "extractor": {
                "kind": extractor.kind, "digest": extractor.digest, "accuracy": extractor.accuracy,
                "standard": extractor.standard, "resize": extractor.resize,
            },
            "image_size": self.size, "channels": self.channels, "k": self.k, "seed": self.seed,
            "notes": [extractor.description(), *self.notes, self.comparable()],
        }  # fmt: skip
