"""Eight Gaussians in a ring: a benchmark for losses whose class is 30 lines; a plug-in for lossgen, and a script.

    lossgen evolve --runner ring
    python runners/ring.py --loss ganetic

The data are those of Metz et al. ("Unrolled generative adversarial networks", 2017) with a radius of 1 and a standard
deviation of 0.05; modes and good samples are counted as by Srivastava et al. ("VEEGAN", 2017). Fitness is the sliced
Wasserstein distance between samples and points that the GAN has not seen: 0.64 for a generator that always gives the
middle of the ring, 0.01 for the ring itself. A training of 1500 steps takes one to two seconds.
"""

import argparse
import math
from collections.abc import Mapping, Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lossgen.errors import InputError
from lossgen.gan.checkpoints import due, median
from lossgen.gan.streams import Purpose, stream
from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

STD, BATCH, JUDGED = 0.05, 128, 8192
MODES = torch.tensor([[math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)] for turn in range(8)])
SLICES = torch.tensor([[math.cos(turn * math.pi / 32), math.sin(turn * math.pi / 32)] for turn in range(32)])


def draw(count: int, rng: torch.Generator | None = None) -> Tensor:
    """Points (count, 2) of the ring."""
    return MODES[torch.randint(8, (count,), generator=rng)] + STD * torch.randn(count, 2, generator=rng)


@torch.no_grad()
def measure(samples: Tensor, points: Tensor) -> dict[str, float]:
    """What samples (N, 2) are worth, by points (N, 2) of the ring.

    SW[ring] is the Wasserstein distance between what both look like along a direction, as a mean over 32 directions. A
    sample is good within three standard deviations of a mode; a mode with a good sample is found.
    """
    along, expected = ((these @ SLICES.T).sort(dim=0).values for these in (samples, points))
    distance, mode = torch.cdist(samples, MODES).min(dim=1)
    good = distance < 3 * STD
    sliced, found = (along - expected).abs().mean(), mode[good].unique()
    return {"SW[ring]": float(sliced), "modes": float(len(found)), "good": float(good.float().mean())}


class Options(BaseModel):
    """Each is a flag on the command line: --lr-generator."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lr_generator: float = Field(1e-3, gt=0, le=1, description="Adam's learning rate of the generator")
    lr_discriminator: float = Field(2e-3, gt=0, le=1, description="Adam's learning rate of the discriminator")


class Ring:
    """Two small networks, and a running mean of the generator, which is judged."""

    options = Options
    objectives: Mapping[str, Direction] = {"SW[ring]": "min"}
    scale_free = True  # Adam, and nothing is added to the loss
    own_data, positive = "gaussians", True  # a distance: its mean over learning rates is geometric

    def __init__(self, options: BaseModel) -> None:
        self.rates = options.model_dump()

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        if device != "cpu":
            raise InputError("runner ring: its networks are too small for a GPU; leave out --device")
        return Preparation({"options": self.rates})

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        return [self._train(member, budget.steps) for member in members]

    def _train(self, member: Member, steps: int) -> Outcome:
        criterion, rates = member.criterion(), Options(**{**self.rates, **member.condition})
        torch.manual_seed(stream(member.seed, Purpose.NOISE).initial_seed())  # all losses of a seed meet the same luck
        generator, adam_g = network(2, rates.lr_generator)
        discriminator, adam_d = network(1, rates.lr_discriminator)
        average, curve = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.99)), {}
        for step in range(1, steps + 1):
            real, fake = draw(BATCH), generator(torch.randn(BATCH, 2))
            loss = descend(adam_d, criterion.discriminator_loss(discriminator(real), discriminator(fake.detach())))
            loss += descend(adam_g, criterion.generator_loss(discriminator(fake), discriminator(real).detach()))
            average.update_parameters(generator)
            if not math.isfinite(loss):
                return Outcome("diverged", reason=f"a loss is not finite at step {step}", step=step)
            if step in due(steps):
                rng = stream(member.seed, Purpose.EVALUATION)
                curve[step] = measure(average(torch.randn(JUDGED, 2, generator=rng)), draw(JUDGED, rng))
        return Outcome("ok", median(curve, steps), step=steps, curve=sorted(curve.items()))


def network(outputs: int, rate: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Two numbers to `outputs` numbers, and what trains it."""
    layers = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))
    return layers, torch.optim.Adam(layers.parameters(), rate, (0.5, 0.99), fused=True)


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    """One step down a loss; its value."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def main() -> None:
    """Train one loss and say what its generator is worth."""
    from lossgen.codegen.load import load_argument

    parser = argparse.ArgumentParser(description="Train a GAN with one loss on eight Gaussians in a ring.")
    parser.add_argument("--loss", required=True, help="file (.loss or .py), zoo name, or expression")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500, help="generator updates")
    given = parser.parse_args()
    if given.seed < 0 or given.steps < 1:
        parser.error("--seed must be 0 or more, and --steps 1 or more")
    try:
        loss = load_argument(given.loss)
    except InputError as error:
        parser.error(str(error))
    (outcome,) = Ring(Options()).train([Member(loss.name, loss.source, (given.seed,))], Budget(given.steps))
    said = ", ".join(f"{name} {value:.3g}" for name, value in outcome.metrics.items()) or outcome.reason
    print(f"{loss.name}: {outcome.status} at step {outcome.step}: {said}")


if __name__ == "__main__":
    main()
