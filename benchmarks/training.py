"""How fast is the training loop, beside one written by hand, and what do members cost that advance together?

    python benchmarks/training.py [--device cpu] [--rounds 9] [--steps 100] [--out benchmarks/results/training-cpu.json]

On one thread of a CPU: steps a second of the loop that runners use, beside a plain DCGAN loop of thirty lines with the
same networks, batches and Adam, which keeps no running mean, looks for nothing that is not finite, and knows one loss.
Both train in turn, round after round, on digits of 8 pixels and on images of 32 in colour; a ratio is the median of the
ratios of each round. On a GPU (--device cuda), besides: members together and one by one, at 1, 16, 64 and 256 of them,
all of one loss on different seeds and all of different losses, and the memory that one more member takes. And how far
members that advance together are from the same members alone after ten steps: in double precision, which shows whether
they compute the same, and in single, where ten steps of Adam make much of a rounding. About 6 minutes on a slow CPU.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn

from lossgen.codegen.load import load_argument, load_source
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import versions
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.variation import random_individual
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.sampling import fixed_noise, generate, to_unit
from lossgen.gan.setting import Setting
from lossgen.gan.streams import one_thread, stream
from lossgen.gan.training import Training
from lossgen.kernel.screen import screen
from lossgen.language.lower import NotFiniteError, lower_loss

BATCH, RATE, BETAS = 64, 3e-3, (0.5, 0.99)
SHAPES = {
    "digits, 8 pixels": Architecture("dcgan", 8, 1, 16, 32),
    "colour, 32 pixels": Architecture("dcgan", 32, 3, 32, 64),
}
MEMBERS = (1, 16, 64, 256)


def setting(shape: Architecture) -> Setting:
    return Setting(shape, BATCH, RATE, RATE, BETAS, 0.999)


def images(shape: Architecture, device: str) -> torch.Tensor:
    """Random ones: a step's price does not depend on what they show."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (2000, shape.channels, shape.size, shape.size), dtype=np.uint8)
    return torch.from_numpy(made).to(device)


def by_hand(shape: Architecture, data: torch.Tensor) -> Callable[[int], None]:
    """A plain DCGAN loop: what one writes for one loss. Its steps, as a function of how many."""
    device = data.device
    netG = initialise(shape.generator(), stream(0, 0)).to(device)
    netD = initialise(shape.discriminator(), stream(0, 1)).to(device)
    criterion = nn.BCEWithLogitsLoss()
    optG = torch.optim.Adam(netG.parameters(), lr=RATE, betas=BETAS)
    optD = torch.optim.Adam(netD.parameters(), lr=RATE, betas=BETAS)
    real_label, fake_label = torch.ones(BATCH, device=device), torch.zeros(BATCH, device=device)

    def advance(steps: int) -> None:
        for _ in range(steps):
            real = to_unit(data[torch.randint(len(data), (BATCH,), device=device)])
            fake = netG(torch.randn(BATCH, shape.latent, device=device))
            optD.zero_grad()
            lossD = criterion(netD(real), real_label) + criterion(netD(fake.detach()), fake_label)
            lossD.backward()
            optD.step()
            optG.zero_grad()
            lossG = criterion(netD(fake), real_label)
            lossG.backward()
            optG.step()

    return advance


def of_lossgen(shape: Architecture, data: torch.Tensor, sources: Sequence[str]) -> Callable[[int], None]:
    """The loop of runners, for members of these losses on seeds of their own."""
    criteria = [load_source(source) for source in sources]
    seeds = [(0, i) for i in range(len(sources))]
    training = Training(criteria, seeds, [setting(shape)] * len(sources), data, diversity=60.0, kinds=sources)

    def advance(steps: int) -> None:
        training.advance(training.step + steps)

    return advance


def seconds(advance: Callable[[int], None], steps: int, device: str) -> float:
    """Of a step."""
    if device != "cpu":
        torch.cuda.synchronize()
    began = time.perf_counter()
    advance(steps)
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def beside_by_hand(shape: Architecture, device: str, rounds: int, steps: int) -> dict[str, Any]:
    """Steps a second of both, and the ratio of lossgen's to those by hand."""
    data, bce = images(shape, device), load_argument("bce").source
    loops = {"lossgen": of_lossgen(shape, data, [bce]), "by hand": by_hand(shape, data)}
    for advance in loops.values():
        advance(20)
    found: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, advance in loops.items():
            found[name].append(1.0 / seconds(advance, steps, device))
    ratios = sorted(ours / theirs for ours, theirs in zip(found["lossgen"], found["by hand"], strict=True))
    return {
        "steps_a_second": {name: statistics.median(rates) for name, rates in found.items()},
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
    }


def different_losses(count: int) -> list[str]:
    """Modules of random losses that pass the screen."""
    space, sources, seed = find_space("ganetic"), list[str](), 0
    while len(sources) < count:
        loss = random_individual(space, np.random.default_rng(seed)).loss(f"Random{seed}")
        seed += 1
        try:
            passed = screen([lower_loss(loss)])[0].rejection is None
        except NotFiniteError:
            continue
        if passed:
            sources.append(Entry.of(loss).source)
    return sources


def beside_one_by_one(shape: Architecture, device: str, steps: int) -> list[dict[str, Any]]:
    """Members a second of one step, together and one by one, and what one more member takes of memory."""
    data, rows = images(shape, device), []
    mixed = different_losses(max(MEMBERS))
    for kind, sources in (("one loss", [load_argument("bce").source] * max(MEMBERS)), ("different losses", mixed)):
        alone = of_lossgen(shape, data, sources[:1])
        alone(10)
        for count in MEMBERS:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            together = of_lossgen(shape, data, sources[:count])
            together(5)
            single, many = seconds(alone, steps, device), seconds(together, steps, device)
            peak = (torch.cuda.max_memory_allocated() - before) / count / 2**20
            rows.append({
                "losses": kind, "members": count, "ms_a_step": 1e3 * many, "ms_a_step_alone": 1e3 * single,
                "speed_up": count * single / many, "MiB_a_member": peak,
            })  # fmt: skip
            said = "  {losses}, {members}: {ms_a_step:.1f} ms a step, {speed_up:.1f} x, {MiB_a_member:.1f} MiB each"
            print(said.format(**rows[-1]))
            del together
    return rows


def after_ten_steps(shape: Architecture, device: str, dtype: torch.dtype) -> dict[str, float]:
    """How far four members together are from the same members alone: samples in [0, 255], and losses."""
    torch.set_default_dtype(dtype)
    data, names = images(shape, device), ("bce", "ganetic", "hinge", "lsgan")
    sources = [load_argument(name).source for name in names]

    def run(chosen: Sequence[int]) -> tuple[Training, torch.Tensor]:
        training = Training(
            [load_source(sources[i]) for i in chosen], [(0, i) for i in chosen], [setting(shape)] * len(chosen), data
        )
        losses = []
        for step in range(1, 11):
            training.advance(step)
            losses.append(training.losses)
        return training, torch.stack(losses)

    many, losses = run(range(4))
    apart = {"samples": 0.0, "losses": 0.0}
    for i in range(4):
        alone, theirs = run([i])
        noise = fixed_noise((0, i), 256, shape.latent).to(device)
        ours, one = (generate(t.generator.averaged(row), noise).float() for t, row in ((many, i), (alone, 0)))
        apart["samples"] = max(apart["samples"], float((ours - one).abs().max()))
        apart["losses"] = max(apart["losses"], float((losses[:, i] - theirs[:, 0]).abs().max()))
    torch.set_default_dtype(torch.float32)
    return apart


@click.command(context_settings={"show_default": True})
@click.option("--device", default="cpu")
@click.option("--rounds", default=9, help="Rounds of both loops in turn.")
@click.option("--steps", default=100, help="Steps of a measurement.")
@click.option("--out", type=click.Path(path_type=Path), help="Else benchmarks/results/training-<device>.json.")
def main(device: str, rounds: int, steps: int, out: Path | None) -> None:
    """Measure, print, and write."""
    out = out or Path(f"benchmarks/results/training-{device}.json")
    result: dict[str, Any] = {"schema": 1, "device": device, "versions": versions()}
    if device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        result["gpu"] = torch.cuda.get_device_name()
    with one_thread():
        for name, shape in SHAPES.items():
            print(name)
            result[name] = found = {"beside_by_hand": beside_by_hand(shape, device, rounds, steps)}
            print("  {ratio:.3f} of the steps a second of the loop by hand".format(**found["beside_by_hand"]))
            found["after_ten_steps"] = {}
            for dtype in (torch.float64, torch.float32):
                precision = str(dtype).removeprefix("torch.")
                found["after_ten_steps"][precision] = apart = after_ten_steps(shape, device, dtype)
                said = "  after ten steps, together and alone: samples {samples:.3g} apart, losses {losses:.3g}"
                print(said.format(**apart), f"({precision})")
            if device != "cpu":
                found["beside_one_by_one"] = beside_one_by_one(shape, device, max(10, steps // 4))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
