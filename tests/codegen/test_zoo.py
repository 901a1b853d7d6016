"""The zoo: committed files are what would be emitted, and compute the papers' formulas."""

import math
import re
import types
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lossgen.codegen.card import card
from lossgen.codegen.load import load_source, zoo_names
from lossgen.codegen.torch_module import emit_torch
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

NAMES = zoo_names()
SOURCES = {name: (zoo_dir() / f"{name}.py").read_text(encoding="utf-8") for name in NAMES}
SCORES = np.linspace(-8.0, 8.0, 321)
TARGETS = (0.0, 0.1, 0.5, 0.9, 1.0)
FLOATS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def criterion(name: str, **options: Any) -> Any:
    built = load_source(SOURCES[name])
    return type(built)(**options)


def functions(name: str) -> types.SimpleNamespace:
    """The elementwise functions real, fake, generator and loss of a zoo file."""
    return types.SimpleNamespace(**type(criterion(name)).forward.__globals__)


def with_gradient(function: Any, scores: Any, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    score = torch.as_tensor(scores, dtype=dtype).clone().requires_grad_()
    value = function(score)
    return value.detach(), torch.autograd.grad(value.sum(), score)[0]


def test_the_zoo_holds_what_was_promised() -> None:
    assert set(NAMES) == {
        "bce", "bce_smooth", "ganetic", "hinge", "logistic", "lsgan", "lsgan_sigmoid", "minimax", "ngl",
        "non_saturating", "relativistic_average", "taylor", "wasserstein",
    }  # fmt: skip
    assert set(NAMES) == {*CLOSED, "ngl", "relativistic_average"}  # these two have tests of their own


@pytest.mark.parametrize("name", NAMES)
def test_committed_files_are_re_emitted_byte_for_byte(name: str) -> None:
    source = (zoo_dir() / f"{name}.loss").read_text(encoding="utf-8")
    assert emit_torch(parse_loss(source)).encode() == (zoo_dir() / f"{name}.py").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_committed_files_carry_no_version_date_or_run(name: str) -> None:
    text = SOURCES[name]
    assert "Terms: CC0-1.0, use it without conditions." in text
    assert not re.search(r"\d{4}-\d\d-\d\d|seed|runs/|version|\bv?\d+\.\d+\.\d+\b", text, re.IGNORECASE)


# Closed forms, from the papers and in numpy: independent of operators, lowering and emitter.


def p_of(score: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-score))


def softplus(x: Any) -> Any:
    return np.logaddexp(0.0, x)


def taylor_of_log_loss(p: Any) -> Any:
    """-log(p) expanded about 1/2 to the third order, without its constant log(2)."""
    u = 2.0 * p - 1.0
    return -(u - u**2 / 2.0 + u**3 / 3.0)


CLOSED = {
    "bce": (lambda s: softplus(-s), softplus, lambda s: softplus(-s)),
    "minimax": (lambda s: softplus(-s), softplus, lambda s: -softplus(s)),
    "hinge": (lambda s: np.maximum(0, 1 - s), lambda s: np.maximum(0, 1 + s), lambda s: -s),
    "wasserstein": (lambda s: -s, lambda s: s, lambda s: -s),
    "lsgan": (lambda s: (s - 1) ** 2, lambda s: s**2, lambda s: (s - 1) ** 2),
    "non_saturating": (lambda s: softplus(-s), softplus, lambda s: softplus(-s)),
    "logistic": (lambda s: softplus(-s), softplus, lambda s: softplus(-s)),
    "lsgan_sigmoid": (lambda s: p_of(-s) ** 2, lambda s: p_of(s) ** 2, lambda s: p_of(-s) ** 2),
    "bce_smooth": (lambda s: softplus(s) - 0.9 * s, softplus, lambda s: softplus(-s)),
    "taylor": (
        lambda s: taylor_of_log_loss(p_of(s)),
        lambda s: taylor_of_log_loss(p_of(-s)),
        lambda s: taylor_of_log_loss(p_of(s)),
    ),
    "ganetic": (
        lambda s: p_of(s) ** 3 + np.sqrt(3.985 / p_of(s)),
        lambda s: p_of(s) ** 3 + 1e-4,
        lambda s: p_of(s) ** 3 + np.sqrt(3.985 / p_of(s)),
    ),
}
SLOPES = {
    "bce": (lambda s: p_of(s) - 1, p_of, lambda s: p_of(s) - 1),
    "minimax": (lambda s: p_of(s) - 1, p_of, lambda s: -p_of(s)),
    "hinge": (lambda s: -1.0 * (s < 1), lambda s: 1.0 * (s > -1), lambda s: -1.0 + 0 * s),
    "wasserstein": (lambda s: -1.0 + 0 * s, lambda s: 1.0 + 0 * s, lambda s: -1.0 + 0 * s),
    "lsgan": (lambda s: 2 * (s - 1), lambda s: 2 * s, lambda s: 2 * (s - 1)),
    "lsgan_sigmoid": (
        lambda s: -2 * p_of(-s) ** 2 * p_of(s),
        lambda s: 2 * p_of(s) ** 2 * p_of(-s),
        lambda s: -2 * p_of(-s) ** 2 * p_of(s),
    ),
    "bce_smooth": (lambda s: p_of(s) - 0.9, p_of, lambda s: p_of(s) - 1),
}


@FLOATS
@pytest.mark.parametrize("name", CLOSED)
def test_values_are_the_closed_forms(name: str, dtype: torch.dtype) -> None:
    found = criterion(name, reduction="none")
    scores = torch.tensor(SCORES, dtype=dtype)
    of_real, of_fake = found.discriminator_loss(scores, scores)
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    for value, closed in zip((of_real, of_fake, found.generator_loss(scores)), CLOSED[name], strict=True):
        np.testing.assert_allclose(value.numpy(), closed(SCORES), rtol=tolerance, atol=tolerance)
    for target in TARGETS:
        expected = target * CLOSED[name][0](SCORES) + (1 - target) * CLOSED[name][1](SCORES)
        if name not in ("ganetic", "lsgan_sigmoid"):  # their targets stand under a root, and squared
            np.testing.assert_allclose(found(scores, target).numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", SLOPES)
def test_gradients_are_the_closed_forms(name: str) -> None:
    module = functions(name)
    for function, closed in zip((module.real, module.fake, module.generator), SLOPES[name], strict=True):
        np.testing.assert_allclose(with_gradient(function, SCORES)[1], closed(SCORES), rtol=1e-12, atol=1e-12)


@FLOATS
@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_bce_equals_bce_with_logits_loss_to_scores_of_100(dtype: torch.dtype, target: float, reduction: str) -> None:
    scores = torch.cat([torch.linspace(-100.0, 100.0, 401), torch.tensor([0.0, 1e-9, -1e-9])]).to(dtype)
    goal = torch.full_like(scores, target)
    reference = nn.BCEWithLogitsLoss(reduction=reduction)
    found = criterion("bce", reduction=reduction)
    ours, theirs = (with_gradient(lambda s, f=f: f(s, goal), scores, dtype) for f in (found, reference))
    last_bit = torch.finfo(dtype).eps  # torch takes a score of 100 from another: what is left has lost these bits
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=16.0 * last_bit, atol=100.0 * last_bit)


@FLOATS
def test_bce_keeps_its_digits_where_the_loss_is_tiny(dtype: torch.dtype) -> None:
    scores = np.linspace(-80.0, 80.0, 161)
    digits = 16.0 * torch.finfo(dtype).eps
    for function, sign in ((functions("bce").real, -1.0), (functions("bce").fake, 1.0)):
        value, gradient = with_gradient(function, scores, dtype)
        away = sign * scores
        small = away <= 20.0  # above, torch's softplus(x) is x, and 2e-9 less than it should be
        np.testing.assert_allclose(value.numpy()[small], softplus(away)[small], rtol=digits)
        np.testing.assert_allclose(value.numpy(), softplus(away), rtol=digits, atol=2.1e-9)
        np.testing.assert_allclose(sign * gradient.numpy(), p_of(away), rtol=max(digits, 2.1e-9))


def test_bce_with_soft_targets_of_any_shape() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = 30.0 * torch.randn(4, 3, 5, generator=generator, dtype=torch.float64)
    targets = torch.rand(4, 3, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(criterion("bce")(scores, targets), nn.BCEWithLogitsLoss()(scores, targets))


def ganetic(p: Any, t: float) -> Any:
    """The issue's closed form."""
    eps = 1e-8
    return p**3 + np.sqrt(np.maximum(3.985 * t / np.maximum(p, eps), eps))


def ganetic_in_tensorflow(p: Any, t: float) -> Any:
    """The authors' TensorFlow file: clipped probabilities, constants added under the root."""
    p = np.clip(p, 1e-7, 1.0 - 1e-7)
    return p**3 + np.sqrt(np.abs(3.985 * t / (p + 1e-8)) + 1e-8)


@FLOATS
@pytest.mark.parametrize("target", TARGETS)
def test_ganetic_is_its_closed_form_and_the_authors(dtype: torch.dtype, target: float) -> None:
    found = criterion("ganetic", reduction="none")(torch.tensor(SCORES, dtype=dtype), target).numpy()
    np.testing.assert_allclose(found, ganetic(p_of(SCORES), target), rtol=1e-6)
    np.testing.assert_allclose(found, ganetic_in_tensorflow(p_of(SCORES), target), rtol=2e-4)


def test_ganetic_role_functions_are_its_label_form_at_0_and_1() -> None:
    module = functions("ganetic")
    scores = torch.tensor(SCORES)
    one, zero = torch.ones_like(scores), torch.zeros_like(scores)
    torch.testing.assert_close(module.real(scores), module.loss(scores, one), rtol=1e-14, atol=0.0)
    torch.testing.assert_close(module.fake(scores), module.loss(scores, zero), rtol=1e-14, atol=0.0)
    torch.testing.assert_close(module.generator(scores), module.real(scores), rtol=0.0, atol=0.0)


@FLOATS
@pytest.mark.parametrize("score", [-1000.0, -100.0, -30.0, 0.0, 30.0, 100.0, 1000.0])
def test_ganetic_has_a_finite_gradient_at_target_0(dtype: torch.dtype, score: float) -> None:
    _, gradient = with_gradient(lambda s: criterion("ganetic")(s, 0.0), [score], dtype)
    p = p_of(np.float64(max(score, -700.0)))
    assert gradient.item() == pytest.approx(3 * p**3 * (1 - p), rel=1e-4, abs=1e-6)


def test_the_optimum_of_ganetic_for_real_images() -> None:
    best = (math.sqrt(3.985) / 6.0) ** (1.0 / 3.5)
    assert best == pytest.approx(0.7302, abs=5e-5)
    p = np.linspace(0.001, 0.999, 100_001)
    values = criterion("ganetic", reduction="none")(torch.tensor(np.log(p / (1 - p))), 1.0).numpy()
    assert p[values.argmin()] == pytest.approx(best, abs=2e-5)
    assert values.min() == pytest.approx(2.7254, abs=5e-5)
    assert card(parse_loss((zoo_dir() / "ganetic.loss").read_text())).settles["real"] == pytest.approx(best, abs=1e-4)
    _, gradient = with_gradient(functions("ganetic").real, [math.log(best / (1 - best))])
    assert abs(gradient.item()) < 1e-12


def ganetic_in_the_authors_pytorch(p: Tensor, t: Tensor) -> Tensor:
    """Their PyTorch file divides by the sum over the batch; another function, see the next test."""
    eps = 1e-8
    return torch.mean(p**3 + torch.sqrt(torch.abs(3.985 * t / (torch.sum(p) + eps)) + eps))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "relativistic_average"])
@given(copies=st.integers(2, 40))
def test_values_do_not_depend_on_the_batch(name: str, copies: int) -> None:
    scores = torch.linspace(-5.0, 5.0, 7, dtype=torch.float64)
    mean, alone = criterion(name), criterion(name, reduction="none")
    many = scores.repeat(copies)
    for target in (0.0, 0.5, 1.0):
        torch.testing.assert_close(mean(many, target), mean(scores, target), rtol=1e-12, atol=1e-12)
        one_by_one = torch.stack([alone(score, target) for score in scores])
        torch.testing.assert_close(alone(many, target), one_by_one.repeat(copies), rtol=1e-12, atol=1e-12)


def test_the_authors_pytorch_variant_does_depend_on_the_batch() -> None:
    """Its optimum moves with the batch size: 0.49 at 16, 0.40 at 64, 0.37 at 128."""
    grid = torch.linspace(0.01, 0.99, 9801, dtype=torch.float64)
    for size, best in ((16, 0.49), (64, 0.40), (128, 0.37)):
        values = [ganetic_in_the_authors_pytorch(p.expand(size), torch.ones(size)) for p in grid[::20]]
        assert grid[::20][int(torch.stack(values).argmin())].item() == pytest.approx(best, abs=6e-3)
    p = torch.full((16,), 0.4, dtype=torch.float64)
    ours = [criterion("ganetic", input="probability")(batch, 1.0) for batch in (p, p.repeat(4))]
    theirs = [ganetic_in_the_authors_pytorch(batch, torch.ones(len(batch))) for batch in (p, p.repeat(4))]
    assert ours[0].item() == pytest.approx(ours[1].item(), rel=1e-12)
    assert theirs[0].item() != pytest.approx(theirs[1].item(), rel=0.1)


@pytest.mark.parametrize("real_target", [0.7, 0.9, 1.0])
def test_bce_smooth_is_cross_entropy_with_smoothed_targets_and_can_be_tuned(real_target: float) -> None:
    found = criterion("bce_smooth", real_target=real_target)
    real, fake = torch.linspace(-4.0, 3.0, 9, dtype=torch.float64), torch.linspace(-2.0, 5.0, 9, dtype=torch.float64)
    reference = nn.BCEWithLogitsLoss()
    expected = reference(real, torch.full_like(real, real_target)) + reference(fake, torch.zeros_like(fake))
    torch.testing.assert_close(found.discriminator_loss(real, fake), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.generator_loss(fake), reference(fake, torch.ones_like(fake)), rtol=1e-9, atol=1e-9)
    assert found.real_target == real_target


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_named_constant_must_be_finite(value: float) -> None:
    with pytest.raises(ValueError, match="real_target must be a finite number, not"):
        criterion("bce_smooth", real_target=value)


@pytest.mark.parametrize("value", [0.0, -2.0, float("nan"), float("inf")])
def test_a_named_constant_keeps_its_sign_where_a_guard_was_left_out_for_it(value: float) -> None:
    built = type(load_source(emit_torch(parse_loss("const t = 2\nloss Tempered(score) = softplus(-score / t)"))))
    assert built(t=0.5)(torch.tensor([1.0]), 1.0).item() == pytest.approx(math.log1p(math.exp(-2.0)))
    with pytest.raises(ValueError, match="t must be a finite number, at least 1e-8, not"):
        built(t=value)


def test_ngl_is_the_classification_loss_of_two_classes() -> None:
    """The authors' file: softmax over classes, one-hot targets, mean over classes (here over real and fake)."""
    scores = torch.tensor(SCORES)
    p = torch.softmax(torch.stack([scores, torch.zeros_like(scores)], dim=-1), dim=-1)
    for target, one_hot in ((1.0, [1.0, 0.0]), (0.0, [0.0, 1.0])):
        t = torch.tensor(one_hot, dtype=torch.float64)
        expected = (torch.exp(2.4092 - p - p * t) - torch.cos(torch.cos(torch.sin(p)))).mean(dim=-1)
        found = criterion("ngl", reduction="none")(scores, target)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_relativistic_average_is_its_closed_form_with_gradients_through_the_means() -> None:
    """RaSGAN of Jolicoeur-Martineau 2019: D and G on the distance to the other kind's mean score."""
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(7, 1, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = criterion("relativistic_average")
    log_sigmoid = nn.LogSigmoid()
    to_fake, to_real = real - fake.mean(), fake - real.mean()
    players = (
        (found.discriminator_loss(real, fake), -log_sigmoid(to_fake).mean() - log_sigmoid(-to_real).mean()),
        (found.generator_loss(fake, real), -log_sigmoid(-to_fake).mean() - log_sigmoid(to_real).mean()),
    )
    for ours, theirs in players:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        for one, other in zip(torch.autograd.grad(ours, (real, fake)), torch.autograd.grad(theirs, (real, fake))):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_relativistic_average_says_what_it_cannot_do() -> None:
    found = criterion("relativistic_average")
    assert found.needs_real
    with pytest.raises(TypeError, match="discriminator_loss"):
        found(torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="real scores"):
        found.generator_loss(torch.zeros(3))


def test_wasserstein_asks_for_its_gradient_penalty() -> None:
    assert criterion("wasserstein").recommended == {"gradient_penalty": 10.0}
    assert not hasattr(criterion("bce"), "recommended")


GUARD = re.compile(r"EPS\b|divisor\(|\.clamp\(|torch\.abs|max=60")


def formulas(name: str) -> str:
    """The emitted functions, without docstring and class."""
    return SOURCES[name].split('"""', 2)[2].split("\nclass ", 1)[0]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ganetic"])
def test_no_guard_where_none_can_act(name: str) -> None:
    assert not GUARD.search(formulas(name))


def test_ganetic_has_two_guards() -> None:
    body = formulas("ganetic").split("def loss(", 1)[1]
    assert body.count(".clamp(min=EPS)") == 2
    assert len(GUARD.findall(body)) == 4  # the two clamps and their EPS
    assert formulas("ganetic").split("def real(", 1)[1].split("def ", 1)[0].count(".clamp(min=EPS)") == 1
    assert formulas("ganetic").split("def fake(", 1)[1].split("def ", 1)[0].count("clamp") == 0
