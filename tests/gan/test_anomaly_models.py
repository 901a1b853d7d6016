"""GANomaly and f-AnoGAN: loop, encoder and scores by their equations, in evaluation mode, and exactly again."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan import fanogan, ganomaly
from lossgen.gan.members import Task, train
from lossgen.gan.nets import Architecture, initialise
from lossgen.gan.sampling import sample, to_unit
from lossgen.gan.setting import Setting
from lossgen.gan.streams import stream
from lossgen.runner import Budget, Member, Outcome

Written = Callable[..., str]
SHAPE = Architecture("ganomaly", 8, 1, 4, 6)


def of_ganomaly(setting: Setting, task: Task, **weights: float) -> tuple[Setting, Task]:
    def judged(generator: nn.Module, discriminator: nn.Module, seed: Sequence[int]) -> Mapping[str, float]:
        assert not generator.training and not discriminator.training
        scores, anew = ganomaly.scores(generator, task.images[:64])
        apart = (to_unit(task.images[:64]) - anew).abs().mean()
        return {"score": float(scores.mean()), "apart": float(apart), "diversity": 1.0}

    terms = tuple({**ganomaly.WEIGHTS, **weights}.items())
    shape = dataclasses.replace(setting.architecture, name="ganomaly")
    inputs = to_unit(task.images[:64])
    task = dataclasses.replace(task, networks=judged, inputs=inputs, training=ganomaly.Ganomaly)
    return dataclasses.replace(setting, architecture=shape, terms=terms), task


def go(setting: Setting, task: Task, written: Written, steps: int, keep: Path | None = None, **more: Path) -> Outcome:
    member = Member("bce", written(), (3, 1), keep=keep, **more)
    return train([member], [setting], task, Budget(steps), together=False)[0]


def test_ganomaly_continues_exactly(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    made = of_ganomaly(setting, task)
    straight = go(*made, written, 40, tmp_path / "straight")
    half = go(*made, written, 17, tmp_path / "half")
    rest = go(*made, written, 40, tmp_path / "half", state=half.files["state"])
    assert straight.status == "ok" and rest.metrics == straight.metrics
    one, other = (np.load(outcome.files["samples"])["images"] for outcome in (straight, rest))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="makes images anew and draws none"):
        sample(straight.files["model"], 4)


def test_ganomaly_learns_what_its_terms_ask_for(written: Written, setting: Setting, task: Task) -> None:
    plain, near, alike = (
        go(*of_ganomaly(setting, task, **weights), written, 150).metrics
        for weights in ({"contextual": 0.0, "encoder": 0.0}, {"contextual": 50.0}, {"contextual": 0.0, "encoder": 50.0})
    )
    assert near["apart"] < 0.7 * plain["apart"]
    assert alike["score"] < 0.3 * plain["score"]


def test_ganomaly_trains_one_member_at_a_time(written: Written, setting: Setting, task: Task) -> None:
    made, _ = of_ganomaly(setting, task)
    criteria = [Member("x", written(), (0,)).criterion()] * 2
    with pytest.raises(ValueError, match="one member at a time, not 2"):
        ganomaly.Ganomaly(criteria, [(0,), (1,)], [made, made], task.images)


def test_ganomaly_in_bfloat16(written: Written, setting: Setting, task: Task) -> None:
    plain, half = (
        go(*of_ganomaly(dataclasses.replace(setting, precision=precision), task), written, 3).metrics
        for precision in ("float32", "bfloat16")
    )
    assert plain["apart"] == pytest.approx(half["apart"], rel=0.05) and plain["score"] != half["score"]


def test_a_state_belongs_to_its_weights(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    kept = go(*of_ganomaly(setting, task), written, 5, tmp_path)
    with pytest.raises(InputError, match="the state of another loss, seed, setting or data"):
        go(*of_ganomaly(setting, task, contextual=1.0), written, 9, tmp_path, state=kept.files["state"])


def test_the_score_of_ganomaly() -> None:
    net = initialise(SHAPE.generator(), stream(0, 0), std=0.3).eval()
    images = torch.randint(0, 256, (70, 1, 8, 8), dtype=torch.uint8)
    scores, anew = ganomaly.scores(net, images)
    x = to_unit(images)
    z = net.encoder(x)
    torch.testing.assert_close(anew, net.decoder(z))
    torch.testing.assert_close(scores, (z - net.again(net.decoder(z))).square().mean(1))
    alone, _ = ganomaly.scores(net, images[:1])
    torch.testing.assert_close(alone, scores[:1])  # in evaluation mode no image depends on the others


def players() -> tuple[nn.Module, nn.Module]:
    shape = Architecture("dcgan", 8, 1, 4, 6)
    nets = (
        initialise(shape.generator(), stream(0, 0), std=0.3),
        initialise(shape.discriminator(), stream(0, 1), std=0.3),
    )
    return nets[0].eval().requires_grad_(False), nets[1].eval().requires_grad_(False)


def drawn(generator: nn.Module, count: int = 96) -> Tensor:
    latent = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    return ((generator(latent) + 1) * 127.5).round().to(torch.uint8)


def test_the_encoder_finds_what_the_generator_draws() -> None:
    generator, discriminator = players()
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in (generator, discriminator)]
    images, global_stream = drawn(generator), torch.get_rng_state()

    def encoder(steps: int, seed: int = 0) -> nn.Module:
        return fanogan.train_encoder(generator, discriminator, images, (4, 6), (seed,), steps, 32, 3e-3)

    first, last = (fanogan.scores(generator, discriminator, encoder(steps), images)[0].mean() for steps in (1, 300))
    assert last < 0.5 * first
    again, other = (encoder(20, seed).state_dict() for seed in (0, 1))
    same = encoder(20).state_dict()
    assert all(again[name].equal(same[name]) for name in again) and not again["code.weight"].equal(other["code.weight"])
    assert torch.get_rng_state().equal(global_stream)
    for net, weights in zip((generator, discriminator), before, strict=True):
        assert all(net.state_dict()[name].equal(weights[name]) for name in weights)  # the running statistics, too


def test_the_score_of_f_anogan() -> None:
    generator, discriminator = players()
    images = drawn(generator, 70)
    encoder = fanogan.train_encoder(generator, discriminator, images, (4, 6), (0,), 5, 32, 1e-3)
    scores, anew = fanogan.scores(generator, discriminator, encoder, images)
    x = to_unit(images)
    torch.testing.assert_close(anew, generator(encoder(x)))
    features = discriminator.features(x) - discriminator.features(anew)  # type: ignore[operator]
    torch.testing.assert_close(scores, (x - anew).square().mean((1, 2, 3)) + features.square().mean(1))


def test_an_encoder_that_does_not_stay_finite(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    def failing(generator: nn.Module, discriminator: nn.Module, seed: Sequence[int]) -> Mapping[str, float]:
        for weight in discriminator.parameters():
            weight.mul_(float("inf"))
        fanogan.train_encoder(generator, discriminator, task.images, (4, 16), seed, 60, 16, 1e-3)
        return {}

    (outcome,) = train(
        [Member("bce", written(), (0,), keep=tmp_path)], [setting], dataclasses.replace(task, last=failing), Budget(30)
    )
    assert outcome.status == "diverged" and outcome.reason == "the encoder's loss is nan" and outcome.step == 30
