"""The loop: same luck for all, exact continuation, and every way in which a training can end."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lossgen.errors import InputError
from lossgen.gan.members import Task, train
from lossgen.gan.sampling import fixed_noise, generate, sample, to_unit
from lossgen.gan.setting import Setting
from lossgen.gan.streams import Batches, one_thread, stream
from lossgen.gan.training import Training
from lossgen.runner import Budget, Member, Outcome

Written = Callable[..., str]


def go(members: list[Member], setting: Setting, task: Task, steps: int, keep: Path | None = None) -> list[Outcome]:
    kept = [dataclasses.replace(member, keep=keep) for member in members]
    return train(kept, [setting] * len(members), task, Budget(steps))


def weights(path: Path) -> dict[str, torch.Tensor]:
    content = torch.load(path, weights_only=True)
    players = {who: content[who] for who in ("generator", "discriminator")}
    nets = {f"{who} {which}": state[which] for who, state in players.items() for which in ("net", "average")}
    return {f"{net}.{name}": tensor for net, state in nets.items() for name, tensor in state.items()}


def begin(source: str, seed: int, setting: Setting, task: Task) -> Training:
    """A training of one member."""
    return Training([Member("x", source, (seed,)).criterion()], [(seed,)], [setting], task.images)


@pytest.mark.parametrize(("first", "then"), [(20, 40), (37, 70), (13, 101)])
def test_continues_exactly(
    first: int, then: int, written: Written, setting: Setting, task: Task, tmp_path: Path
) -> None:
    straight = go([Member("bce", written(), (3, 1))], setting, task, then, tmp_path / "straight")[0]
    half = go([Member("bce", written(), (3, 1))], setting, task, first, tmp_path / "half")[0]
    rest = go([Member("bce", written(), (3, 1), state=half.files["state"])], setting, task, then, tmp_path / "half")[0]
    assert rest.metrics == straight.metrics and rest.status == straight.status == "ok"
    known = dict([*half.curve, *rest.curve])
    assert all(known.get(step, metrics) == metrics for step, metrics in straight.curve)
    one, other = weights(straight.files["state"]), weights(rest.files["state"])
    assert one and all(one[name].equal(other[name]) for name in one)
    images = [np.load(outcome.files["samples"])["images"] for outcome in (straight, rest)]
    np.testing.assert_array_equal(*images)
    assert images[0].shape == (64, 1, 8, 8) and images[0].dtype == np.uint8
    assert half.files["state"].exists()  # nothing is overwritten


def test_nothing_to_do_gives_the_same_outcome(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    first = go([Member("bce", written(), (0,))], setting, task, 30, tmp_path)[0]
    again = go([Member("bce", written(), (0,), state=first.files["state"])], setting, task, 30)[0]
    assert (again.metrics, again.status, again.step) == (first.metrics, first.status, 30)


def test_bits_do_not_depend_on_threads_or_the_global_stream(written: Written, setting: Setting, task: Task) -> None:
    before = torch.get_num_threads()
    metrics = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(threads)
        metrics.append(go([Member("bce", written(), (0,))], setting, task, 30)[0].metrics)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert metrics[0] == metrics[1]


def test_all_losses_of_a_seed_meet_the_same_luck(written: Written, setting: Setting, task: Task) -> None:
    sources = (
        written(),
        written(real="(real_score - 1) ** 2", fake="fake_score**2", generator="(fake_score - 1) ** 2"),
    )
    one, other = (begin(source, 5, setting, task) for source in sources)
    for player in ("generator", "discriminator"):
        states = [getattr(run, player).net(0).state_dict() for run in (one, other)]
        assert all(states[0][name].equal(states[1][name]) for name in states[0])
    with one_thread():
        one.advance(20)
        other.advance(20)
    assert one.draws.next()[0].equal(other.draws.next()[0])
    assert one.draws.noise(3).equal(other.draws.noise(3))
    weight = "layers.0.weight"
    first, same, stranger = (begin(sources[0], seed, setting, task).generator.net(0) for seed in (5, 5, 6))
    assert first.state_dict()[weight].equal(same.state_dict()[weight])
    assert not stranger.state_dict()[weight].equal(same.state_dict()[weight])


def test_an_epoch_shows_each_image_once() -> None:
    batches = Batches(100, 32, stream(0, 3))
    epoch = torch.cat([batches.next() for _ in range(3)])
    assert len(epoch.unique()) == 96
    assert Batches(10, 32, stream(0, 3)).next().sort().values.tolist() == list(range(10))


def test_discriminator_learns_and_average_follows(written: Written, setting: Setting, task: Task) -> None:
    run = begin(written(), 0, setting, task)
    fakes = generate(run.generator.averaged(0), fixed_noise(0, 64, 16))
    with one_thread():
        run.advance(60)
    with torch.no_grad():
        real, fake = (run.discriminator(to_unit(images)[None]).mean() for images in (task.images[:64], fakes))
    assert real > fake
    live = run.generator.net(0).state_dict()
    for name, averaged in run.generator.averaged(0).state_dict().items():
        if averaged.is_floating_point():
            assert not averaged.equal(live[name]), name


def test_discriminators_gradient_is_none_of_the_generators_business(
    written: Written, setting: Setting, task: Task
) -> None:
    """A generator without gradient stays as it is, and the discriminator learns from its own loss alone."""
    run = begin(written(generator="0 * fake_score"), 0, setting, task)
    before = {name: weight.clone() for name, weight in run.generator.net(0).named_parameters()}
    run.advance(3)
    assert all(weight.equal(before[name]) for name, weight in run.generator.net(0).named_parameters())


def test_ends_that_are_no_result(written: Written, setting: Setting, task: Task) -> None:
    """Each loss ends in its own way; none touches its neighbours."""
    sources = {
        "bce": written(),
        "nan": written(real="torch.log(real_score - 1e9)"),
        "explodes": written(generator="torch.exp(1e4 * fake_score.abs() + 100)"),
        "still": written(generator="0 * fake_score"),
        "raises": written(fake="fake_score.no_such_thing()"),
        "vector": written(reduce=""),
        "constant": written(real="torch.zeros(3)", fake="torch.zeros(3)"),
        "text": "this is no Python",
    }
    outcomes = go([Member(name, text, (0,)) for name, text in sources.items()], setting, task, 45)
    found = dict(zip(sources, outcomes))
    ends = {name: outcome.status for name, outcome in found.items()}
    assert ends == {
        "bce": "ok", "nan": "diverged", "explodes": "diverged", "still": "collapsed", "raises": "crashed",
        "vector": "crashed", "constant": "crashed", "text": "crashed",
    }  # fmt: skip
    assert found["nan"].step == 1 and "discriminator's loss is nan" in found["nan"].reason
    assert "generator" in found["explodes"].reason or "weight" in found["explodes"].reason
    assert found["still"].step == 45 and "diversity" in found["still"].reason
    assert "no_such_thing" in found["raises"].reason and "scalar" in found["vector"].reason
    for name, outcome in found.items():
        assert "\n" not in outcome.reason and bool(outcome.reason) == (name != "bce")
        assert bool(outcome.metrics) == (name == "bce")
    alone = go([Member("bce", written(), (0,))], setting, task, 45)[0]
    assert alone.metrics == found["bce"].metrics


def test_a_loss_may_ask_for_the_real_scores(written: Written, setting: Setting, task: Task) -> None:
    relativistic = written(
        real="F.softplus(fake_score - real_score)",
        fake="0 * fake_score",
        generator="F.softplus(real_score - fake_score)",
    ).replace("class Written(nn.Module):", "class Written(nn.Module):\n    needs_real = True")
    assert go([Member("relativistic", relativistic, (0,))], setting, task, 40)[0].status == "ok"


def test_progress(written: Written, setting: Setting, task: Task) -> None:
    seen: list[tuple[int, int]] = []
    members = [Member("bce", written(), (seed,)) for seed in (0, 1)]
    train(members, [setting] * 2, task, Budget(110, on_step=lambda index, step: seen.append((index, step))))
    assert seen == [(0, 50), (0, 100), (1, 50), (1, 100)]


def test_kept_model_draws_the_kept_samples(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    members = [Member("b/c e", written(), (seed, 2)) for seed in (0, 1)]
    outcomes = go(members, setting, task, 20, tmp_path)
    assert len({path for outcome in outcomes for path in outcome.files.values()}) == 6
    assert all(path.parent == tmp_path for outcome in outcomes for path in outcome.files.values())
    for outcome in outcomes:
        kept = np.load(outcome.files["samples"])["images"]
        np.testing.assert_array_equal(sample(outcome.files["model"], 64), kept)
        np.testing.assert_array_equal(sample(outcome.files["model"], 5), kept[:5])
        assert not np.array_equal(sample(outcome.files["model"], 64, seed=9), kept)
    assert torch.load(outcomes[0].files["model"], weights_only=True)["schema"] == 1


def test_sample_of_something_else(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    state = go([Member("bce", written(), (0,))], setting, task, 20, tmp_path)[0].files["state"]
    text = tmp_path / "text.pt"
    text.write_text("no model")
    for path in (state, text, tmp_path / "absent.pt", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            sample(path, 4)
    with pytest.raises(InputError, match="at least 1"):
        sample(state, 0)


def test_states_that_do_not_fit(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    outcome = go([Member("bce", written(), (0,))], setting, task, 20, tmp_path)[0]
    state, model = outcome.files["state"], outcome.files["model"]
    with pytest.raises(InputError, match="another loss, seed"):
        go([Member("bce", written(), (1,), state=state)], setting, task, 40)
    with pytest.raises(InputError, match="beyond the 10 steps"):
        go([Member("bce", written(), (0,), state=state)], setting, task, 10)
    with pytest.raises(InputError, match="not a lossgen training state"):
        go([Member("bce", written(), (0,), state=model)], setting, task, 40)


def test_bad_input(written: Written, setting: Setting, task: Task, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1, not 0"):
        go([Member("bce", written(), (0,))], setting, task, 0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        go([Member("bce", written(), (0,))], setting, task, 20, tmp_path / "file")
    alike = Task(torch.zeros_like(task.images), task.judge, task.n_samples, task.data)
    with pytest.raises(InputError, match="all alike"):
        go([Member("bce", written(), (0,))], setting, alike, 20)


def test_out_of_memory_is_said(written: Written, setting: Setting, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 1 TB")

    monkeypatch.setattr(Training, "advance", full)
    with pytest.raises(InputError, match="out of memory on cpu at batch size 32 and width 8"):
        go([Member("bce", written(), (0,))], setting, task, 20)
