"""Regularisers: closed forms on critics whose gradients are known, and what a training does with them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lossgen.errors import InputError
from lossgen.gan.members import Task, train
from lossgen.gan.regularisers import REGULARISERS, drift, gradient_penalty, r1, recommended
from lossgen.gan.setting import Setting
from lossgen.language.loss import NEEDS
from lossgen.runner import Budget, Member, Outcome

Written = Callable[..., str]


class Linear(nn.Module):
    """D(x) = slope * (sum of x): its gradient is `slope` in each of n pixels, of length slope * sqrt(n)."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return self.slope * images.flatten(1).sum(1)


class Quadratic(nn.Module):
    """D(x) = |x|² / 2: its gradient is x."""

    def forward(self, images: Tensor) -> Tensor:
        return 0.5 * images.flatten(1).square().sum(1)


def images(seed: int, batch: int = 8) -> Tensor:
    return torch.randn(batch, 2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def middle(real: Tensor) -> Tensor:
    """Half way between real and generated images."""
    return torch.full((len(real), 1, 1, 1), 0.5, dtype=real.dtype)


def test_there_is_one_for_every_need_of_the_language() -> None:
    assert set(REGULARISERS) == set(NEEDS)


@pytest.mark.parametrize("slope", [0.0, 0.1, 24**-0.5, 3.0])
def test_closed_forms_on_a_linear_critic(slope: float) -> None:
    critic, real, fake = Linear(slope), images(0), images(1)
    score = critic(real)
    found = [f(critic, real, fake, score, middle(real)).item() for f in (gradient_penalty, r1, drift)]
    length = slope * 24**0.5
    expected = [(length - 1.0) ** 2, 0.5 * length**2, float((slope * real.sum((1, 2, 3))).square().mean())]
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_r1_is_taken_at_the_real_images_and_the_penalty_between() -> None:
    real, fake = images(0), torch.zeros_like(images(1))
    found = r1(Quadratic(), real, fake, real, middle(real)).item()
    assert found == pytest.approx(0.5 * real.flatten(1).square().sum(1).mean().item(), rel=1e-12)
    shares = torch.rand(len(real), generator=torch.Generator().manual_seed(4)).double()
    lengths = shares * real.flatten(1).norm(dim=1)
    found = gradient_penalty(Quadratic(), real, fake, real, shares[:, None, None, None]).item()
    assert found == pytest.approx((lengths - 1.0).square().mean().item(), rel=1e-12)


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_members_are_penalised_each_for_itself(name: str) -> None:
    """With a leading axis of members, each gets what it would get alone."""
    critic, real, fake, share = Quadratic(), images(0), images(1), torch.rand(8, 1, 1, 1, dtype=torch.float64)
    alone = [REGULARISERS[name](critic, a, b, critic(a), share) for a, b in ((real, fake), (fake, real))]
    pairs = torch.stack([real, fake]), torch.stack([fake, real])

    def score(stacked: Tensor) -> Tensor:
        return torch.stack([critic(each) for each in stacked])

    together = REGULARISERS[name](score, *pairs, score(pairs[0]), torch.stack([share, share]))
    torch.testing.assert_close(together, torch.stack(alone))


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_each_moves_the_critic(name: str) -> None:
    critic = Linear(3.0)
    real = images(0)
    REGULARISERS[name](critic, real, images(1), critic(real), middle(real)).backward()
    assert critic.slope.grad is not None and critic.slope.grad > 0.0


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_a_critic_without_a_slope_gets_a_finite_gradient(name: str) -> None:
    """As one whose rectifiers are all dead; the length of a vector has no derivative at 0."""
    critic, real = Linear(0.0), images(0)
    REGULARISERS[name](critic, real, images(1), critic(real), middle(real)).backward()
    assert critic.slope.grad is not None and critic.slope.grad.isfinite()


@pytest.mark.parametrize(
    "asked", [{"r3": 1.0}, {"r1": 0.0}, {"r1": -1.0}, {"r1": float("nan")}, {"r1": "10"}, "r1", {"r1": float("inf")}]
)
def test_what_makes_no_sense_is_refused(asked: object) -> None:
    criterion = nn.Identity()
    criterion.recommended = asked  # type: ignore[assignment]
    with pytest.raises(InputError, match="recommend"):
        recommended(criterion)


def trained(source: str, setting: Setting, task: Task, steps: int = 60, **member: object) -> Outcome:
    return train([Member("w", source, (3,), **member)], [setting], task, Budget(steps))[0]  # type: ignore[arg-type]


def asking(source: str, needs: str) -> str:
    """The module's text with `recommended` in its class."""
    head, body = source.split("(nn.Module):\n", 1)
    return f"{head}(nn.Module):\n    recommended = {needs}\n{body}"


def test_a_training_applies_what_the_loss_asks_for_unless_told_not_to(
    written: Written, setting: Setting, task: Task
) -> None:
    plain, penalised = written(), asking(written(), "{'r1': 10.0}")
    without = dataclasses.replace(setting, recommended=False)
    assert trained(penalised, setting, task).metrics != trained(plain, setting, task).metrics
    assert trained(penalised, without, task).metrics == trained(plain, setting, task).metrics
    both = [trained(asking(written(), text), setting, task).metrics for text in ("{'r1': 1.0}", "{'drift': 1.0}")]
    assert both[0] != both[1]


def test_a_penalised_training_continues_exactly(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    source = asking(written(), "{'gradient_penalty': 10.0, 'drift': 0.001}")
    member = Member("w", source, (3,))
    (straight,) = train([member], [setting], task, Budget(60))
    (half,) = train([dataclasses.replace(member, keep=tmp_path)], [setting], task, Budget(25))
    rest = trained(source, setting, task, 60, state=half.files["state"])
    assert straight.status == "ok" and rest.metrics == straight.metrics


def test_an_unknown_regulariser_ends_its_own_member_only(written: Written, setting: Setting, task: Task) -> None:
    members = [Member("a", asking(written(), "{'r3': 1.0}"), (3,)), Member("b", written(), (3,))]
    first, second = train(members, [setting] * 2, task, Budget(60))
    assert (first.status, second.status) == ("crashed", "ok")
    assert "gradient_penalty" in first.reason
