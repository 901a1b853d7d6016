"""How many members fit into a GPU's memory side by side."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lossgen.gan.setting import Setting
from lossgen.gan.training import Training

FEW, MORE = 2, 4
"""Members of the two short trainings whose memory is compared."""
FILLED = 0.8
"""Part of the free memory that is planned with: judging wants some, and what is freed comes in pieces."""


def capacity(members: Sequence[tuple[nn.Module, Setting]], images: Tensor, labels: Tensor | None) -> int:
    """How many of these members, all alike, to train at a time: all of them where memory is no GPU's.

    On a GPU two steps of a few members are made to see what one more costs.
    """
    if images.device.type != "cuda" or len(members) <= MORE:
        return len(members)
    peaks = [_peak(members[:count], images, labels) for count in (FEW, MORE)]
    each = max(1.0, (peaks[1] - peaks[0]) / (MORE - FEW))
    free, _ = torch.cuda.mem_get_info(images.device)
    return max(1, min(len(members), int(FILLED * free / each)))


def _peak(members: Sequence[tuple[nn.Module, Setting]], images: Tensor, labels: Tensor | None) -> float:
    """Bytes that two steps take at most."""
    release(images.device)
    torch.cuda.reset_peak_memory_stats(images.device)
    before = torch.cuda.memory_allocated(images.device)
    criteria, settings = zip(*members, strict=True)
    grown = [replace(setting, growth=None) for setting in settings]  # what grows is planned for as it will be
    training = Training(criteria, [(i,) for i in range(len(members))], grown, images, labels)
    training.advance(2)
    peak = torch.cuda.max_memory_allocated(images.device) - before
    del training
    release(images.device)
    return float(peak)


def release(device: torch.device) -> None:
    """Give back what PyTorch keeps of a GPU's memory for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
