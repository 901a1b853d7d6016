"""When progressive networks grow: a schedule over the real images that the discriminator has been shown.

The coarsest resolution stands alone for `stable` images; each finer one fades in over `fade` images, its weight rising
in a straight line from 0, and then stands for `stable`; the finest to the end (Karras et al. 2018, appendix A). A
function of the absolute count alone: whatever the batch, and wherever a training is continued.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lossgen.gan.nets.progressive import Grown


@dataclass(frozen=True)
class Growth:
    """A schedule.

    Attributes:
        doublings: from the coarsest side to the finest.
        fade: real images that a resolution fades in over.
        stable: real images that it then stands for.
    """

    doublings: int
    fade: int
    stable: int

    def at(self, images: int) -> Grown:
        """How far networks have grown once so many real images have been shown."""
        past = images - self.stable
        if past < 0 or not self.doublings:
            return Grown(0)
        done, within = divmod(past, self.fade + self.stable)
        if done >= self.doublings:
            return Grown(self.doublings)
        return Grown(done + 1, min(1.0, within / self.fade))

    def began(self, doublings: int) -> int:
        """The number of images with which the side of so many doublings began to fade in; 0 for the coarsest."""
        return self.stable + (doublings - 1) * (self.fade + self.stable) if doublings else 0

    def ends(self) -> Iterator[int]:
        """The number of images that ends each phase but the last, which has no end."""
        for level in range(1, self.doublings + 1):
            yield self.began(level)
            yield self.began(level) + self.fade

    @property
    def complete(self) -> int:
        """Images after which the finest resolution stands alone."""
        return self.doublings * (self.fade + self.stable)
