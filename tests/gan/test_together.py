"""Members that advance together come to what each comes to alone, and nothing passes from one to another."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.gan import members as lists
from lossgen.gan.growth import Growth
from lossgen.gan.members import Task, train
from lossgen.gan.nets import Architecture
from lossgen.gan.players import Stacked
from lossgen.gan.sampling import fixed_labels, fixed_noise, generate
from lossgen.gan.setting import Setting
from lossgen.gan.streams import one_thread
from lossgen.gan.training import Training
from lossgen.runner import Budget, Member, Outcome

Written = Callable[..., str]
STEPS = 10
ZOO = ("bce", "ganetic", "hinge", "bce")
SEEDS = ((0, 0), (0, 0), (0, 1), (0, 1))
RATES = (1e-3, 2e-3, 3e-3, 2e-3)

PLAIN = Architecture("dcgan", 8, 1, 8, 16)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch": {"architecture": dataclasses.replace(PLAIN, normalisation="batch")},
    "group": {"architecture": dataclasses.replace(PLAIN, normalisation="group")},
    "spectral": {"architecture": dataclasses.replace(PLAIN, spectral_norm=True)},
    "conditional": {"architecture": dataclasses.replace(PLAIN, classes=2)},
    "autoencoder": {"architecture": dataclasses.replace(PLAIN, name="dcgan-autoencoder")},
    "r1": {"regularisers": (("r1", 1.0),)},
    "gradient_penalty": {"regularisers": (("gradient_penalty", 10.0), ("drift", 0.001)), "n_critic": 2},
    "progressive": {"architecture": dataclasses.replace(PLAIN, name="progressive"), "growth": Growth(1, 96, 96)},
    "style": {"architecture": dataclasses.replace(PLAIN, name="style")},
    "augmented": {"augmentation": ("colour", "translation", "cutout")},
}


@pytest.fixture
def in_double() -> Iterator[None]:
    """In single precision a unit of a network may be on one side of its kink here and on the other there, for rounding
    alone, and Adam makes whole steps of that."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def settings_of(setting: Setting, rates: Sequence[float] = RATES, **change: Any) -> list[Setting]:
    """One a member, which differ in a learning rate."""
    return [dataclasses.replace(setting, lr_generator=rate, recommended=False, **change) for rate in rates]


def labels_of(task: Task) -> Tensor:
    return torch.nn.functional.one_hot(torch.arange(len(task.images)) % 2, 2).to(torch.get_default_dtype())


def advance(settings: Sequence[Setting], rows: Sequence[int], task: Task, steps: int = STEPS) -> Training:
    sources = [load_argument(ZOO[row]).source for row in rows]
    criteria = [Member("m", source, ()).criterion() for source in sources]
    seeds = [SEEDS[row] for row in rows]
    training = Training(
        criteria, seeds, [settings[row] for row in rows], task.images, labels_of(task), diversity=50.0, kinds=sources
    )
    with one_thread():
        training.advance(steps)
    return training


def brightness(outcomes: Sequence[Outcome]) -> list[float]:
    """At the last checkpoint; so early, many samples are still too much alike for an outcome to be well."""
    return [dict(outcome.curve)[max(dict(outcome.curve))]["brightness"] for outcome in outcomes]


def drawn(training: Training, row: int, number: int) -> Tensor:
    """What the averaged generator draws, in [0, 255]."""
    shape = training.setting.architecture
    inputs = [fixed_noise(SEEDS[number], 64, shape.noise)]
    inputs += [fixed_labels(SEEDS[number], 64, [1, 1])] if shape.classes else []
    net = training.generator.averaged(row).eval()
    with torch.no_grad():
        images: Tensor = net(*inputs)
    return images


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("kind", list(KINDS))
def test_together_as_one_by_one(kind: str, setting: Setting, task: Task) -> None:
    """Samples, weights, statistics and what Adam keeps."""
    settings = settings_of(setting, **KINDS[kind])
    together = advance(settings, range(4), task)
    for number in range(4):
        alone = advance(settings, [number], task)
        torch.testing.assert_close(drawn(together, number, number), drawn(alone, 0, number), atol=1e-7, rtol=0)
        for which in ("generator", "discriminator"):
            ours, theirs = getattr(together, which).state(number), getattr(alone, which).state(0)
            assert ours["updates"] == theirs["updates"]
            for part in ("net", "average"):
                assert list(ours[part]) == list(theirs[part])
                for name, tensor in ours[part].items():
                    torch.testing.assert_close(tensor, theirs[part][name], atol=1e-7, rtol=1e-6, msg=name)
            for part in ("mean", "square"):
                for one, other in zip(ours[part], theirs[part], strict=True):
                    torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-5)


def losses(training: Training, steps: int) -> Tensor:
    """(steps, members, 2), of the next steps."""
    found = []
    with one_thread():
        for _ in range(steps):
            training.advance(training.step + 1)
            found.append(training.losses)
    return torch.stack(found)


def test_losses_are_the_same_in_single_precision(setting: Setting, task: Task) -> None:
    settings = settings_of(setting)
    found = losses(advance(settings, range(4), task, 0), STEPS)
    assert found.shape == (STEPS, 4, 2) and not found[0].equal(found[-1])
    for number in range(4):
        alone = losses(advance(settings, [number], task, 0), STEPS)
        torch.testing.assert_close(found[:, number], alone[:, 0], atol=1e-4, rtol=0)


@pytest.mark.usefixtures("in_double")
def test_what_is_watched_is_the_same(setting: Setting, task: Task) -> None:
    settings = settings_of(setting)
    together = advance(settings, range(4), task, 50)
    alone = [advance(settings, [number], task, 50) for number in range(4)]
    assert together.watch.separation == pytest.approx([each.watch.separation[0] for each in alone], abs=0.01)


def test_in_bfloat16_the_losses_stay_in_single(setting: Setting, task: Task) -> None:
    half, full = ({"precision": name, "augmentation": ("colour",)} for name in ("bfloat16", "float32"))
    together, alone = (advance(settings_of(setting, **half), rows, task, 0) for rows in (range(4), [0]))
    precise = losses(advance(settings_of(setting, **full), [0], task, 0), 5)
    for training in (together, alone):
        found = losses(training, 5)
        assert found.dtype == torch.float32
        assert training.generator.state(0)["net"]["layers.0.weight"].dtype == torch.float32
        assert not found[:, 0].equal(precise[:, 0])
        torch.testing.assert_close(found[:, 0], precise[:, 0], atol=0.05, rtol=0.05)


BAD = {
    "nan": {"real": "torch.log(real_score - 1e9)"},
    "explodes": {"generator": "torch.exp(1e4 * fake_score.abs() + 100)"},
    "raises": {"fake": "fake_score.no_such_thing()"},
    "vector": {"reduce": ""},
    "constant": {"real": "torch.zeros(3)", "fake": "torch.zeros(3)"},
}


def together(members: list[Member], setting: Setting, task: Task, steps: int = 60) -> list[Outcome]:
    return train(members, [setting] * len(members), task, Budget(steps), together=True)


def test_what_happens_to_one_touches_no_other(written: Written, setting: Setting, task: Task) -> None:
    """Poisoned members among sound ones: the sound ones come to what they come to without them, to the last bit but for
    the order of sums."""
    sound = [Member("bce", written(), (0,)), Member("ls", written(real="(real_score - 1) ** 2"), (1,))]
    poison = [Member(name, written(**change), (0,)) for name, change in BAD.items()]
    text = Member("text", "this is no Python", (0,))
    mixed = together([sound[0], *poison, text, sound[1]], setting, task)
    ends = {member.name: outcome.status for member, outcome in zip([*poison, text], mixed[1:-1], strict=True)}
    assert ends == {
        "nan": "diverged", "explodes": "diverged", "raises": "crashed", "vector": "crashed", "constant": "crashed",
        "text": "crashed",
    }  # fmt: skip
    assert mixed[1].step == 1 and "discriminator's loss is nan at step 1" in mixed[1].reason
    clean = together(sound, setting, task)
    assert brightness([mixed[0], mixed[-1]]) == pytest.approx(brightness(clean), abs=2.0)


def test_the_sound_ones_are_the_same_to_ten_steps(written: Written, setting: Setting, task: Task) -> None:
    source = written()
    poison = Member("nan", written(real="torch.log(real_score - 1e9)"), (0,)).criterion()
    sound = Member("bce", source, (0,)).criterion()
    seeds, settings = [(0,), (0,), (1,)], [setting] * 3
    mixed = Training([sound, poison, sound], seeds, settings, task.images, kinds=[1, 2, 1])
    clean = Training([sound, sound], [(0,), (1,)], settings[:2], task.images, kinds=[1, 1])
    for training in (mixed, clean):
        training.advance(STEPS)
    assert mixed.members == [0, 2] and list(mixed.failures) == [1]
    for row in range(2):
        ours, theirs = (each.generator.averaged(row).state_dict() for each in (mixed, clean))
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True), (True, True)])
def test_a_state_is_gone_on_with_either_way(
    first: bool, then: bool, written: Written, setting: Setting, task: Task, tmp_path: Path
) -> None:
    """What was kept together is continued one by one, and the other way round."""
    setting = dataclasses.replace(setting, regularisers=(("r1", 1.0),), augmentation=("translation",))
    begun = [Member("bce", written(), (seed,), keep=tmp_path) for seed in (0, 1)]
    half = train(begun, [setting] * 2, task, Budget(5), together=first)
    kept = [Member("bce", written(), (s,), state=each.files["state"]) for s, each in zip((0, 1), half)]
    rest = train(kept, [setting] * 2, task, Budget(STEPS), together=then)
    straight = train([dataclasses.replace(m, keep=None) for m in begun], [setting] * 2, task, Budget(STEPS))
    assert brightness(rest) == pytest.approx(brightness(straight), abs=0.05)


def test_members_that_are_not_alike_train_in_groups(written: Written, setting: Setting, task: Task) -> None:
    wide = dataclasses.replace(setting, architecture=dataclasses.replace(setting.architecture, width=12))
    settings = [setting, wide, setting, wide, dataclasses.replace(setting, batch_size=16)]
    members = [Member("bce", written(), (seed,)) for seed in range(5)]
    found = train(members, settings, task, Budget(STEPS), together=True)
    alone = train(members, settings, task, Budget(STEPS))
    assert brightness(found) == pytest.approx(brightness(alone), abs=0.05)


def test_members_that_memory_does_not_hold_at_once_are_halved(
    written: Written, setting: Setting, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, notes, sizes = Training.advance, list[str](), list[int]()

    def short(self: Training, *args: Any) -> None:
        sizes.append(len(self.members))
        if len(self.members) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        real(self, *args)

    monkeypatch.setattr(Training, "advance", short)
    members = [Member("bce", written(), (seed,)) for seed in range(5)]
    found = train(members, [setting] * 5, task, Budget(20, on_note=notes.append), together=True)
    assert [outcome.step for outcome in found] == [20] * 5
    assert notes == [
        "out of memory on cpu with 5 trainings at once: 3 at a time",
        "out of memory on cpu with 3 trainings at once: 2 at a time",
    ]
    monkeypatch.undo()
    straight = train(members, [setting] * 5, task, Budget(20))
    assert brightness(found) == pytest.approx(brightness(straight), abs=0.5)


def test_a_list_longer_than_memory_is_split_beforehand(
    written: Written, setting: Setting, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "capacity", lambda members, images, labels: 2)
    notes: list[str] = []
    members = [Member("bce", written(), (seed,)) for seed in range(3)]
    found = train(members, [setting] * 3, task, Budget(STEPS, on_note=notes.append), together=True)
    assert [outcome.step for outcome in found] == [STEPS] * 3
    assert notes == ["3 trainings: 2 at a time, as cpu's memory allows"]


def test_progress_names_the_member(written: Written, setting: Setting, task: Task) -> None:
    seen: list[tuple[int, int]] = []
    members = [Member("bce", written(), (0,)), Member("nan", "no Python", (0,)), Member("bce", written(), (1,))]
    budget = Budget(100, on_step=lambda index, step: seen.append((index, step)))
    train(members, [setting] * 3, task, budget, together=True)
    assert seen == [(0, 50), (2, 50), (0, 100), (2, 100)]


def test_a_state_of_another_network_is_refused(setting: Setting, task: Task) -> None:
    settings = settings_of(setting)
    other = advance(settings_of(setting, architecture=KINDS["batch"]["architecture"]), range(4), task, 1)
    training = advance(settings, range(4), task, 1)
    with pytest.raises(InputError, match="does not fit"):
        training.restore(0, other.state(0))


def test_a_stack_draws_what_its_nets_draw(setting: Setting) -> None:
    nets = [setting.architecture.generator().to_empty(device="cpu") for _ in range(3)]
    for number, net in enumerate(nets):
        torch.manual_seed(number)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        net.load_state_dict({n: t.nan_to_num(0.0, 0.0, 0.0) for n, t in net.state_dict().items()})
    stack = Stacked(nets, [1e-3] * 3, [(0.5, 0.99)] * 3, averages=True)
    noise = fixed_noise(0, 64, 16)
    for row, net in enumerate(nets):
        np.testing.assert_array_equal(generate(stack.net(row), noise), generate(net, noise))
