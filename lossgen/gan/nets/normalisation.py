"""Normalisations of feature maps."""

from torch import Tensor, nn

from lossgen.errors import InputError


class BatchNorm2d(nn.BatchNorm2d):
    """BatchNorm in the precision of its own weights, whatever autocast makes of its input.

    For `torch.func.vmap`, PyTorch has no batch norm of a bfloat16 input with float32 statistics.
    """

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype))


def normalisation_of(kind: str, channels: int) -> nn.Module | None:
    """A discriminator's normalisation by name: "none", "batch" or "group".

    Raises:
        InputError: the name is unknown.
    """
    if kind == "none":
        return None
    if kind == "batch":
        return BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(_groups(channels), channels)
    raise InputError(f"normalisation {kind!r} is unknown; known are: none, batch, group")


def _groups(channels: int) -> int:
    """As many groups as divide the channels, up to eight."""
    return next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0)
