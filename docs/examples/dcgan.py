"""A DCGAN on handwritten digits of 8 x 8 pixels, in the style of PyTorch's example; its loss comes from a file.

    python dcgan.py --loss ganetic.py --steps 1500 --out out

The loss file holds one nn.Module class, which is called with scores and targets as nn.BCEWithLogitsLoss is. Written to
the folder --out: metrics.json, samples.png and state.pt, from which --resume FOLDER goes on to a later step.
"""

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

LATENT, WIDTH, BATCH, COMPONENTS = 32, 16, 64, 16


class Generator(nn.Sequential):
    """Noise (N, LATENT, 1, 1) to images (N, 1, 8, 8) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__(
            nn.ConvTranspose2d(LATENT, 4 * WIDTH, 2, 1, 0, bias=False),
            nn.BatchNorm2d(4 * WIDTH),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * WIDTH),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * WIDTH, 1, 4, 2, 1),
            nn.Tanh(),
        )


class Discriminator(nn.Sequential):
    """Images (N, 1, 8, 8) to scores (N,), without a sigmoid."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 2 * WIDTH, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * WIDTH, 4 * WIDTH, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * WIDTH, 1, 2, 1, 0),
            nn.Flatten(0),
        )


def load_loss(path: str) -> nn.Module:
    """The one module class of a Python file, with its defaults."""
    spec = importlib.util.spec_from_file_location("loss", path)
    file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(file)
    (found,) = [c for c in vars(file).values() if isinstance(c, type) and issubclass(c, nn.Module)]
    return found()


def load_images() -> tuple[Tensor, Tensor]:
    """Images to train on and images held out, (N, 1, 8, 8) in [-1, 1]."""
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[:1200]], images[order[1200:]]


def frechet_distance(fake: Tensor, real: Tensor, train: Tensor) -> float:
    """Fréchet distance of two sets of images, in the first principal components of the training images' pixels."""
    train, fake, real = (x.flatten(1).double().numpy() for x in (train, fake, real))
    axes = np.linalg.svd(train - train.mean(0), full_matrices=False)[2][:COMPONENTS].T
    a, b = (fake - train.mean(0)) @ axes, (real - train.mean(0)) @ axes
    root = np.sqrt(np.linalg.eigvals(np.cov(a.T) @ np.cov(b.T)).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + a.var(0, ddof=1).sum() + b.var(0, ddof=1).sum() - 2 * root)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loss", required=True, help="Python file with the loss's class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500, help="step to train to")
    parser.add_argument("--out", default="out", help="folder to write to")
    parser.add_argument("--resume", default="", help="folder of an earlier training to go on from")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    criterion = load_loss(args.loss)
    images, held_out = load_images()
    netG, netD = Generator(), Discriminator()
    optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.99))
    optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.99))
    parts = {"netG": netG, "netD": netD, "optimizerG": optimizerG, "optimizerD": optimizerD}
    first = 0
    if args.resume:
        state = torch.load(Path(args.resume) / "state.pt", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["rng"])
        first = state["step"]

    for _ in range(first, args.steps):
        # Discriminator: real images are to be scored as 1, fake ones as 0.
        real = images[torch.randint(len(images), (BATCH,))]
        fake = netG(torch.randn(BATCH, LATENT, 1, 1))
        optimizerD.zero_grad()
        lossD = criterion(netD(real), 1.0) + criterion(netD(fake.detach()), 0.0)
        lossD.backward()
        optimizerD.step()
        # Generator: fake images are to be scored as 1.
        optimizerG.zero_grad()
        lossG = criterion(netD(fake), 1.0)
        lossG.backward()
        optimizerG.step()

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "rng": torch.get_rng_state(), "step": args.steps}, out / "state.pt")
    netG.eval()
    with torch.no_grad():
        fake = netG(torch.randn(1000, LATENT, 1, 1, generator=torch.Generator().manual_seed(0)))
    distance = frechet_distance(fake, held_out, images) if fake.isfinite().all() else float("nan")
    metrics = {"frechet_pca16": distance, "loss_discriminator": lossD.item(), "loss_generator": lossG.item()}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2))
    sheet = fake[:64].reshape(8, 8, 8, 8).permute(0, 2, 1, 3).reshape(64, 64)
    Image.fromarray(((sheet + 1) * 127.5).byte().numpy()).resize((512, 512), Image.Resampling.NEAREST).save(
        out / "samples.png"
    )
    print(f"step {args.steps}: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
