"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957): a discriminator whose layers stretch nothing.

Each weight W, read as a matrix with a row an output channel, is divided by its largest singular value σ(W). That is
estimated by a power iteration (algorithm 1), one round each training-mode forward pass, on vectors u and v that are
kept between passes; the gradient holds them fixed. As PyTorch's own `spectral_norm`, with two differences: the first
vectors come from the seed's stream, and the buffers are updated in a way that `torch.func.vmap` can follow for the
stacked networks of many members.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_EPS = 1e-12  # of the lengths that vectors are divided by, as in PyTorch
_WARM_UP = 15  # rounds at initialisation, as in PyTorch


class SpectralNorm(nn.Module):
    """A parametrization: weight (rows, …) → weight / σ, of the same shape.

    Attributes:
        u, v: unit vectors, (rows,) and (columns,): estimates of the first singular vectors, left and right. They
            change in training mode only.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.flatten(1)
        self.register_buffer("u", matrix.new_empty(matrix.shape[0]))
        self.register_buffer("v", matrix.new_empty(matrix.shape[1]))

    def forward(self, weight: Tensor) -> Tensor:
        # In bfloat16 σ would have two or three digits; the vectors cost next to nothing in float32.
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            # What autograd keeps of a pass must outlive the next one's update: fresh vectors, never the buffers.
            u, v = self._iterate(matrix) if self.training else (self.u.clone(), self.v.clone())
            return weight / torch.dot(u, torch.mv(matrix, v))

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        u = _unit(torch.mv(matrix, self.v))
        v = _unit(torch.mv(matrix.t(), u))
        self.u.copy_(u)
        self.v.copy_(v)
        return u, v

    @torch.no_grad()
    def begin(self, weight: Tensor, generator: torch.Generator) -> None:
        """Draw the first vectors, and bring them near the singular ones."""
        for vector in (self.u, self.v):
            vector.copy_(_unit(vector.normal_(generator=generator)))
        for _ in range(_WARM_UP):
            self._iterate(weight.flatten(1))


def _unit(vector: Tensor) -> Tensor:
    unit: Tensor = vector / torch.linalg.vector_norm(vector).clamp_min(_EPS)
    return unit


def normalise(net: nn.Module) -> None:
    """Divide the weight of every convolution and linear layer of a network by its largest singular value."""
    for module in list(net.modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            # The check of shape and type would run a forward pass on vectors that are not there yet.
            parametrize.register_parametrization(module, "weight", SpectralNorm(module.weight), unsafe=True)


def begin(net: nn.Module, generator: torch.Generator) -> None:
    """Draw the first vectors of all of a network's spectral norms, once its weights are there."""
    for module in net.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for part in module:
                if isinstance(part, SpectralNorm):
                    part.begin(module.original, generator)
