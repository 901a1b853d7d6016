"""What the files of all targets have in common: the same loss, the same calls, and text that is code by table alone."""

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from strategies import SURFACE, expressions, full_losses, losses
from test_source import NASTY, NOTES

from lossgen.codegen.curves import kernel_curves, module_curves, score_rows, tuned, tunings
from lossgen.codegen.load import load_argument, load_source, read_emitted, run_source, zoo_names
from lossgen.codegen.parts import body_of
from lossgen.codegen.targets import TARGETS, target_of, verify
from lossgen.codegen.verify import compare_curves
from lossgen.codegen.verify_targets import keras_on_torch
from lossgen.errors import CheckError, InputError
from lossgen.kernel.evaluate import values
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import GENERATOR_REAL, Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

ZOO = {name: parse_loss((zoo_dir() / f"{name}.loss").read_text(encoding="utf-8")) for name in zoo_names()}
TUNED = parse_loss("""
const slope = 0.2
const shift = 0
const low = -1.5
loss Tuned(score, y_pred):
    real: relu(1 - score) + slope * exp(shift) * score / low
    fake: (y_pred + slope)^slope + max(score, low) / (shift + 1)
    generator: sqrt(slope) * square(score - shift) + min(shift, slope) + cos(shift) + (shift + 2)^y_pred
""")
RELATIVE = parse_loss("""
const slope = 0.5
loss Relative(score, y_pred, mean_real, mean_fake):
    real: softplus(mean_fake - score) + slope * square(mean_real)
    fake: relu(1 + score - mean_real)
    generator: square(score - mean_real - 1) * y_pred
    generator_real: slope * abs(score - mean_fake + 1)
    needs: gradient_penalty(10)
""")
GUARDED = parse_loss("loss Guarded(score, y_real) = log(score) / (score + 3) + sqrt(y_real * score) + exp(score) / 1e6")
LOSSES = {**ZOO, "tuned": TUNED, "relative": RELATIVE, "guarded": GUARDED}
RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(1.0, 2.0, (5, 1)), RNG.normal(-1.0, 2.0, (7, 1))


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "keras":
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))  # Keras writes a file there when it is first imported
        try:
            keras_on_torch()
        except InputError as error:
            pytest.skip(str(error))
    return str(request.param)


class Built:
    """An emitted file of any target, called in one way: arrays or lists of them to a float."""

    def __init__(self, target: str, loss: Loss, **constants: float) -> None:
        self.constants = constants
        file: Any = run_source(TARGETS[target].emit(loss))
        self.functions = file if target == "numpy" else None
        self.criterion = None if target == "numpy" else getattr(file, loss.name)(**constants)

    def __call__(self, method: str, *scores: Any) -> float:
        if self.functions is not None:
            function = getattr(self.functions, method)
            taken = inspect.signature(function).parameters
            return float(function(*scores, **{key: x for key, x in self.constants.items() if key in taken}))
        return float(getattr(self.criterion, method)(*map(_tensors, scores)))


def _tensors(scores: Any) -> Any:
    if isinstance(scores, (list, tuple)):
        return type(scores)(map(_tensors, scores))
    return scores if scores is None else torch.tensor(scores)


def kernel_means(loss: Loss, real: Any, fake: Any) -> tuple[float, float]:
    """What the discriminator and the generator minimise, by the kernel."""
    at = lower_loss(loss).at_means(float(real.mean()), float(fake.mean())).roles

    def mean(role: str, scores: Any) -> float:
        return float(values([at[role]], scores.ravel()).mean()) if role in at else 0.0

    return mean("real", real) + mean("fake", fake), mean("generator", fake) + mean(GENERATOR_REAL, real)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_kernels_in_every_target(name: str, target: str) -> None:
    """Values, and gradients where there are any: every role and target, on the grid and at ±30; constants tuned."""
    source = TARGETS[target].emit(LOSSES[name])
    verify(TARGETS[target], LOSSES[name], source)
    assert source == TARGETS[target].emit(LOSSES[name])


TAME = [name for name in SURFACE if name not in ("div", "log", "pow", "sqrt")]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn=expressions(operators=TAME, max_leaves=12))
def test_a_random_loss_is_the_kernels_in_every_target(drawn: Expression, target: str) -> None:
    """Operators without poles: near one, float32 has no digits left."""
    loss = Loss("Drawn", label=drawn)
    try:
        lowered = lower_loss(loss)
        probe = values([*lowered.roles.values()], np.linspace(-30.0, 30.0, 61))
    except NotFiniteError:
        assume(False)
    assume(bool((np.abs(probe) < 1e6).all()))
    verify(TARGETS[target], loss, TARGETS[target].emit(loss))


@settings(max_examples=100)
@given(st.one_of(losses(max_leaves=12), full_losses()))
@example(parse_loss("const a = 0\nloss A(score) = score^a + a^score + 1 / a + log(a) + max(a, 1) + (a - 1)^3"))
@example(parse_loss("const a = -2\nloss A(score) = sigmoid(a) * a^score + sqrt(a) + score / a + relu(-a)"))
def test_a_random_loss_with_poles_is_the_kernels_in_float64(loss: Loss) -> None:
    """With named constants, at their values and tuned, and batch terms: values in NumPy, and all of it in PyTorch."""
    try:
        sources = {kind: TARGETS[kind].emit(loss) for kind in ("numpy", "torch")}
        for constants in tunings(loss):
            for scores in score_rows(loss):
                curves = kernel_curves(tuned(loss, constants), scores)
                assume(bool((np.abs([curves.values, curves.gradients]) < 1e9).all()))
                assume(not 0.0 < np.abs(curves.gradients).max() < 1e-9)  # what rounding leaves of y_pred - y_pred
    except NotFiniteError:
        assume(False)
    verify(TARGETS["numpy"], loss, sources["numpy"])
    for constants in tunings(loss):
        for scores in score_rows(loss):
            criterion = type(load_source(sources["torch"]))(reduction="none", **constants)
            found = module_curves(criterion, torch.tensor(scores, requires_grad=True))
            expected = kernel_curves(tuned(loss, constants), scores)
            compare_curves("drawn", expected, found, scores, "float64", 1e-6)


@pytest.mark.parametrize(("right", "wrong"), [("** 3 + 0.0001", "** 3 + 0.0101"), ("3.985 * y_real", "3.995 * y_real")])
def test_a_file_that_differs_is_refused(right: str, wrong: str, target: str) -> None:
    source = TARGETS[target].emit(ZOO["ganetic"])
    assert source.count(right) > 0
    with pytest.raises(CheckError, match=r"GANetic: the emitted .* at score .*, the (kernel|PyTorch module)'s"):
        verify(TARGETS[target], ZOO["ganetic"], source.replace(f"{right}", wrong))


@pytest.mark.parametrize("name", ["bce", "hinge", "ganetic", "relativistic_average", "relative"])
def test_what_the_players_minimise(name: str, target: str) -> None:
    loss, built = LOSSES[name], Built(target, LOSSES[name])
    expected = kernel_means(loss, REAL, FAKE)
    found = built("discriminator_loss", REAL, FAKE), built("generator_loss", FAKE, REAL)
    assert found == pytest.approx(expected, rel=1e-5)
    scales = [kernel_means(loss, r, f) for r, f in ((REAL, FAKE), (REAL[:2] + 1.0, FAKE[:3]))]
    real, fake = [REAL, REAL[:2] + 1.0], [FAKE, FAKE[:3]]
    for kind in (list, tuple):
        listed = built("discriminator_loss", kind(real), kind(fake)), built("generator_loss", kind(fake), kind(real))
        assert listed == pytest.approx(tuple(np.mean(scales, axis=0)), rel=1e-5)
    if not loss.needs_real:
        assert built("generator_loss", FAKE) == pytest.approx(expected[1], rel=1e-5)


PLAYERS = {
    "numpy": [
        (RELATIVE, "return of_real + of_fake", "return of_real - of_fake", "discriminator_loss in float64 is"),
        (RELATIVE, "return of_fake + of_real", "return of_fake", "generator_loss in float64 is"),
        (TUNED, "slope=slope,", "slope=0.2,", "with slope = 0.18: .* discriminator_loss in float64 is"),
        (TUNED, "shift=shift", "shift=0.0", "with shift = -0.1: .*_loss in float64 is"),
        (ZOO["lsgan"], "mean_over_scales(generator, fake", "mean_over_scales(fake, fake", "generator_loss in float64"),
    ],
    "keras": [
        (RELATIVE, "else of_real + of_fake", "else of_real - of_fake", "discriminator_loss in float32 is"),
        (RELATIVE, "else of_fake + of_real", "else of_fake", "generator_loss in float32 is"),
        (ZOO["lsgan"], "else ops.mean(value)", "else ops.mean(value) * 1.01", "discriminator_loss in float64 is"),
    ],
}


@pytest.mark.parametrize("target", PLAYERS, indirect=True)
def test_a_fault_in_what_the_players_minimise_is_found(target: str) -> None:
    """Although every role's function, and the losses element by element, are as they should be."""
    for loss, right, wrong, said in PLAYERS[target]:
        roles, named, players = TARGETS[target].emit(loss).partition("def discriminator_loss(")
        assert right in players
        with pytest.raises(CheckError, match=f"{said} .*, the (kernel|PyTorch module)'s"):
            verify(TARGETS[target], loss, roles + named + players.replace(right, wrong))


@pytest.mark.parametrize("target", ["keras", "numpy"], indirect=True)
def test_a_file_that_raises_is_refused_in_one_line(target: str) -> None:
    source = TARGETS[target].emit(ZOO["hinge"])
    faulty = source.replace("return", "assert isinstance(score, str), 'no\\nscore'\n    return", 1)
    with pytest.raises(CheckError, match=r"Hinge: the emitted .* code does not run.*: AssertionError: no$"):
        verify(TARGETS[target], ZOO["hinge"], faulty)


def test_cross_entropy_keeps_its_digits(target: str) -> None:
    """Where it is small, a difference of large terms would have none; and at score 0 its slope is 0.5 - target.

    PyTorch's own, which the PyTorch module calls, keeps them for target 1 alone: for 0 it is such a difference.
    """
    scores = np.array([6.0, 8.0, 12.0, 16.0])
    exact = np.log1p(np.exp(-scores))
    for sign, goal in ((1.0, 1.0), (-1.0, 0.0))[: 1 if target == "torch" else 2]:
        given, goals = sign * scores, np.full(4, goal)
        built = Built(target, ZOO["bce"])
        if built.functions is not None:
            found = built.functions.loss(given, goals)
        else:
            tensors = [torch.tensor(x, dtype=torch.float32) for x in (given, goals)]
            made = type(built.criterion)(reduction="none")
            found = (made(*tensors) if target == "torch" else made(*tensors[::-1])).double().numpy()
        np.testing.assert_allclose(found, exact, rtol=1e-5)
    if target != "numpy":
        score, goals = torch.zeros(3, requires_grad=True), torch.tensor([0.0, 0.3, 1.0])
        made = type(built.criterion)(reduction="sum")
        (made(score, goals) if target == "torch" else made(goals, score)).backward()
        torch.testing.assert_close(score.grad, 0.5 - goals)


def test_named_constants_are_keywords(target: str) -> None:
    for constants in ({}, {"slope": 0.35}, {"slope": 0.35, "shift": -0.25, "low": -0.5}):
        built = Built(target, TUNED, **constants)
        found = built("discriminator_loss", REAL, FAKE), built("generator_loss", FAKE)
        assert found == pytest.approx(kernel_means(tuned(TUNED, constants), REAL, FAKE), rel=1e-5)


@pytest.mark.parametrize("target", ["torch", "keras"], indirect=True)
def test_constants_are_checked_and_shown(target: str) -> None:
    for name, wrong, said in (
        ("slope", 0.0, "slope must be a finite number, at least 1e-8, not 0.0"),
        ("slope", float("inf"), "at least 1e-8, not inf"),
        ("low", 0.5, "low must be a finite number, at most -1e-8, not 0.5"),
        ("shift", float("nan"), "shift must be a finite number, not nan"),
    ):
        with pytest.raises(ValueError, match=said):
            Built(target, TUNED, **{name: wrong})
    made = Built(target, TUNED, low=-3).criterion
    assert (made.slope, made.shift, made.low) == (0.2, 0.0, -3.0)
    if target == "torch":
        assert "slope=0.2, shift=0.0, low=-3.0" in repr(made)
    else:
        assert type(made).from_config(made.get_config()).get_config() == made.get_config()
        assert made.get_config()["low"] == -3.0


def test_a_loss_of_batches_says_what_to_call(target: str) -> None:
    built = Built(target, RELATIVE)
    with pytest.raises(ValueError, match="Relative needs the real scores, too: generator_loss"):
        built("generator_loss", FAKE)
    if built.functions is not None:
        assert not hasattr(built.functions, "loss")
        return
    assert built.criterion.needs_real is True
    assert built.criterion.recommended == {"gradient_penalty": 10.0}
    assert not hasattr(Built(target, ZOO["bce"]).criterion, "recommended")
    with pytest.raises(TypeError, match=r"looks at real and generated images together: in place of"):
        built.criterion(torch.ones(3), torch.ones(3))


@pytest.mark.parametrize("target", ["torch", "keras"], indirect=True)
def test_reductions_of_a_loss_of_batches(target: str) -> None:
    made = type(Built(target, RELATIVE).criterion)
    real, fake = torch.tensor(REAL, dtype=torch.float32), torch.tensor(FAKE, dtype=torch.float32)
    none, total = made(reduction="none"), made(reduction="sum")
    of_real, of_fake = none.discriminator_loss(real, fake)
    assert (of_real.shape, of_fake.shape) == (real.shape, fake.shape)
    torch.testing.assert_close(total.discriminator_loss(real, fake), of_real.sum() + of_fake.sum())
    of_fake, of_real = none.generator_loss(fake, real)
    assert (of_fake.shape, of_real.shape) == (fake.shape, real.shape)
    torch.testing.assert_close(total.generator_loss(fake, real), of_real.sum() + of_fake.sum())
    torch.testing.assert_close(made().generator_loss(fake, real), of_fake.mean() + of_real.mean())
    halves = made().discriminator_loss(real.half(), fake.half())
    assert halves.dtype == torch.float32
    torch.testing.assert_close(halves, made().discriminator_loss(real.half().float(), fake.half().float()))
    by_probability = made(input="probability").discriminator_loss(torch.sigmoid(real), torch.sigmoid(fake))
    torch.testing.assert_close(by_probability, made().discriminator_loss(real, fake), rtol=1e-4, atol=1e-4)


# The text.


@pytest.mark.parametrize("name", LOSSES)
def test_it_imports_its_library_alone_and_uses_all_it_has(name: str, target: str) -> None:
    source = TARGETS[target].emit(LOSSES[name])
    tree = ast.parse(source)
    imported, bound = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else ""
            imported |= {(module or alias.name).split(".")[0] for alias in node.names}
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and node in tree.body:
            bound |= {name.id for name in node.targets if isinstance(name, ast.Name)}
        elif isinstance(node, ast.FunctionDef) and node in tree.body:
            bound.add(node.name)
    assert imported == {target} | ({"warnings"} if target == "torch" else set())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    offered = {"loss", "discriminator_loss", "generator_loss"} if target == "numpy" else set()
    assert bound - used <= offered
    assert max(map(len, body_of(source).split("\n"))) <= 120
    assert target_of(source) is TARGETS[target]
    assert read_emitted(source, "there") == LOSSES[name]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(note=NOTES)
@example(note="\n".join(NASTY))
@example(note="\u202eeno\u2066 \u200f\x1b[2J")
def test_no_note_gets_out_of_the_docstring(note: str, target: str) -> None:
    plain = Loss("A", label=variable("score"))
    source = TARGETS[target].emit(plain.renamed("A", note))
    assert body_of(source) == body_of(TARGETS[target].emit(plain))
    assert read_emitted(source, "there") == plain
    assert target_of(source) is TARGETS[target]
    assert all(character.isprintable() or character == "\n" for character in source)


@pytest.mark.parametrize(("name", "kind"), [("torch", "torch"), ("ops", "keras"), ("real", "keras"), ("len", "keras")])
def test_class_names_that_a_file_uses_are_refused(name: str, kind: str) -> None:
    with pytest.raises(InputError, match="uses this name itself"):
        TARGETS[kind].emit(parse_loss("score").renamed(name))
    assert read_emitted(TARGETS["numpy"].emit(parse_loss("score").renamed(name)), "there").name == name


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", ["target", "forward", "training", "sum", "reduction", "EPS", "self", "divisor"])
def test_names_of_constants_that_a_file_uses_are_refused(name: str, kind: str) -> None:
    with pytest.raises(InputError, match=f"constant '{name}': the emitted module uses this name itself"):
        TARGETS[kind].emit(Loss("A", label=apply("mul", constant(2.0, name), variable("score"))))


def test_names_of_the_statements_are_fine_as_constants(target: str) -> None:
    label = parse_loss("const t0 = 2\nconst t1 = 3\nloss A(score) = tanh(t0 * score) * tanh(t0 * score) + sin(t1)")
    verify(TARGETS[target], label, TARGETS[target].emit(label))


# Files of other targets as LOSS arguments.


@pytest.mark.parametrize("kind", ["keras", "numpy"])
def test_a_file_of_another_target_is_a_loss_argument(kind: str, tmp_path: Path) -> None:
    path, source = tmp_path / "mine.py", TARGETS[kind].emit(ZOO["ganetic"])
    path.write_text(source, encoding="utf-8")
    found = load_argument(str(path))
    assert (found.loss, found.source) == (ZOO["ganetic"], load_argument("ganetic").source)
    path.write_text(source.replace("** 3", "** 2"), encoding="utf-8")
    for trust in (False, True):
        with pytest.raises(InputError, match=f"write it anew with `lossgen compile --target {kind}`") as caught:
            load_argument(str(path), trust)
        assert "\n" not in str(caught.value)
