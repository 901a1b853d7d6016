"""f-AnoGAN (Schlegl et al. 2019, Medical Image Analysis 54): an encoder for a generator that knows normal images.

stage 1: a GAN on normal images, with whichever loss; then generator and discriminator stand still
stage 2: an encoder E, by mean (x - G(E(x)))² + κ · mean (f(x) - f(G(E(x))))², "izi_f" (equation 3)
score of x: that same expression, where f is what the discriminator's last layer sees, and κ = 1
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lossgen.gan.nets import initialise
from lossgen.gan.nets.ganomaly import Encoder
from lossgen.gan.sampling import CHUNK, to_unit
from lossgen.gan.streams import Batches, Purpose, stream
from lossgen.gan.training import TrainingError

KAPPA = 1.0


def train_encoder(
    generator: nn.Module,
    discriminator: nn.Module,
    images: Tensor,
    shape: tuple[int, int],
    seed: Sequence[int],
    steps: int,
    batch: int,
    rate: float,
) -> nn.Module:
    """An encoder (N, C, H, W) → (N, latent) of normal images, in evaluation mode.

    Args:
        generator, discriminator: in evaluation mode, without gradients of their own.
        images: uint8 (N, C, H, W), on the device to train on.
        shape: width and latent dimension of the encoder.
        seed: of the training whose networks these are; weights and batches have streams of their own.
        rate: Adam's learning rate.

    Raises:
        TrainingError: its loss is not finite.
    """
    width, latent = shape
    with torch.device("meta"):
        empty = Encoder(images.shape[-1], images.shape[1], width, latent)
    encoder = initialise(empty, stream(seed, Purpose.ENCODER)).to(images.device)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=rate)
    batches = Batches(len(images), batch, stream(seed, Purpose.ENCODER_BATCHES, str(images.device)))
    loss = torch.zeros(())
    for step in range(steps):
        loss = distances(generator, discriminator, encoder, to_unit(images[batches.next()]))[0].mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 50 == 49 and not torch.isfinite(loss):
            break
    if not torch.isfinite(loss):
        raise TrainingError("diverged", f"the encoder's loss is {loss.item()}", steps)
    return encoder.eval()


def distances(generator: nn.Module, discriminator: nn.Module, encoder: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of images x in [-1, 1] the expression that is trained by and scored by, (N,), and G(E(x))."""
    anew = generator(encoder(x))
    of_pixels = (x - anew).square().flatten(1).mean(1)
    features = discriminator.features
    of_features = (features(x) - features(anew)).square().flatten(1).mean(1)  # type: ignore[operator]
    return of_pixels + KAPPA * of_features, anew


@torch.no_grad()
def scores(generator: nn.Module, discriminator: nn.Module, encoder: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Anomaly scores (N,) of images, uint8 (N, C, H, W), and G(E(x)), float in [-1, 1]."""
    each = [distances(generator, discriminator, encoder, to_unit(chunk)) for chunk in torch.split(images, CHUNK)]
    return torch.cat([score for score, _ in each]), torch.cat([anew for _, anew in each])
