"""What every emitted module promises, whatever its formula."""

import ast
import copy
import importlib.util
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from lossgen.codegen.load import load_source, zoo_names
from lossgen.codegen.torch_module import emit_torch
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

ALIASES = ("logistic", "non_saturating")  # of bce
SOURCES = {name: (zoo_dir() / f"{name}.py").read_text(encoding="utf-8") for name in zoo_names() if name not in ALIASES}
SOURCES["guarded"] = emit_torch(parse_loss("loss Guarded(score, y_real) = log(score) / score + sqrt(y_real * score)"))
SOURCES["constant"] = emit_torch(parse_loss("loss Constant(y_real) = max(y_real, 0.5)"))
EVERY = pytest.mark.parametrize("name", SOURCES)
ELEMENTWISE = pytest.mark.parametrize("name", [name for name in SOURCES if name != "relativistic_average"])
"""Of those with batch terms see test_batch_terms.py."""
Build = Callable[..., Any]


def build(name: str, **options: str) -> Any:
    return type(load_source(SOURCES[name]))(**options)


def scores(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return 3.0 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@ELEMENTWISE
@pytest.mark.parametrize("shape", [(), (1,), (8,), (8, 1), (4, 1, 3, 3)])
def test_reductions_of_scores_of_any_shape(name: str, shape: tuple[int, ...]) -> None:
    real, fake = scores(*shape), scores(*shape, seed=1)
    none, mean, total = (build(name, reduction=reduction) for reduction in ("none", "mean", "sum"))
    for target in (0.0, 0.3, 1.0):
        elements = none(real, target)
        assert elements.shape == shape
        torch.testing.assert_close(mean(real, target), elements.mean())
        torch.testing.assert_close(total(real, target), elements.sum())
    pair = none.discriminator_loss(real, fake)
    assert isinstance(pair, tuple)
    assert [part.shape for part in pair] == [shape, shape]
    torch.testing.assert_close(mean.discriminator_loss(real, fake), pair[0].mean() + pair[1].mean())
    torch.testing.assert_close(total.discriminator_loss(real, fake), pair[0].sum() + pair[1].sum())
    torch.testing.assert_close(pair, (none(real, 1.0), none(fake, 0.0)))
    for other in (None, real):
        torch.testing.assert_close(mean.generator_loss(fake, other), none.generator_loss(fake).mean())
        torch.testing.assert_close(total.generator_loss(fake, real_score=other), none.generator_loss(fake).sum())
    assert type(none).needs_real is False


@ELEMENTWISE
def test_batches_of_different_size_in_the_discriminator_loss(name: str) -> None:
    criterion, none = build(name), build(name, reduction="none")
    real, fake = scores(8), scores(3, seed=1)
    expected = none(real, 1.0).mean() + none(fake, 0.0).mean()
    torch.testing.assert_close(criterion.discriminator_loss(real, fake), expected)


@ELEMENTWISE
def test_a_list_of_scores_gives_the_mean_over_scales(name: str) -> None:
    criterion, none = build(name), build(name, reduction="none")
    real, fake = [scores(4, 1, 8, 8), scores(4, 1, 4, 4)], [scores(4, 1, 8, 8, seed=1), scores(4, 1, 4, 4, seed=2)]
    expected = (none(real[0], 1.0).mean() + none(real[1], 1.0).mean()) / 2.0
    for kind in (list, tuple):
        torch.testing.assert_close(criterion(kind(real), 1.0), expected)
    torch.testing.assert_close(criterion(real, torch.ones(4, 1, 1, 1)), expected)
    torch.testing.assert_close(
        criterion.discriminator_loss(real, fake), expected + (none(fake[0], 0.0).mean() + none(fake[1], 0.0).mean()) / 2
    )
    torch.testing.assert_close(
        criterion.generator_loss(fake), sum(criterion.generator_loss(scale) for scale in fake) / 2.0
    )
    of_real, of_fake = none.discriminator_loss(real, fake)
    assert [part.shape for part in (*of_real, *of_fake)] == [s.shape for s in (*real, *fake)]


@ELEMENTWISE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    criterion = build(name)
    half = scores(64).to(dtype).requires_grad_()
    whole = half.detach().float().requires_grad_()
    fixed = scores(64, seed=1).to(dtype)
    for call in (
        lambda c, s: c(s, 1.0),
        lambda c, s: c.discriminator_loss(s, fixed),
        lambda c, s: c.discriminator_loss(fixed, s),
        lambda c, s: c.generator_loss(s),
    ):
        low, full = call(criterion, half), call(criterion, whole)
        assert low.dtype == torch.float32
        assert low.item() == full.item()
        if full.requires_grad:
            (slope,) = torch.autograd.grad(low, half)
            assert slope.dtype == dtype
            torch.testing.assert_close(slope, torch.autograd.grad(full, whole)[0].to(dtype))
    assert criterion(half, torch.ones(64, dtype=dtype)).dtype == torch.float32
    assert criterion(half.double(), 1.0).dtype == torch.float64
    assert criterion(half.float(), 1.0).dtype == torch.float32


def test_float32_arithmetic_would_be_lost_in_half_precision() -> None:
    """float16 ends at 65504: the squares below would be infinite."""
    value = build("lsgan")(torch.full((4,), 1000.0, dtype=torch.float16), 0.0)
    assert value.item() == 1e6


@ELEMENTWISE
def test_targets_as_float_tensor_or_soft(name: str) -> None:
    none = build(name, reduction="none")
    score = scores(6, 2)
    for target in (0.0, 0.25, 1.0, 1):
        expected = none(score, float(target))
        for shape in ((), (2,), (6, 1), (6, 2)):
            form = torch.full(shape, target)
            torch.testing.assert_close(none(score, form), expected)
    mixed = torch.tensor([0.0, 1.0]).expand(6, 2)
    torch.testing.assert_close(none(score, mixed)[:, 0], none(score[:, 0], 0.0))
    torch.testing.assert_close(none(score, mixed)[:, 1], none(score[:, 1], 1.0))
    torch.testing.assert_close(none(score, mixed.bool()), none(score, mixed))


@ELEMENTWISE
def test_a_target_that_would_enlarge_the_scores_is_refused(name: str) -> None:
    """(8, 1) scores and (8,) targets would silently make 64 losses; nn.BCEWithLogitsLoss refuses them, too."""
    with pytest.raises(RuntimeError, match="expanded size"):
        build(name)(scores(8, 1), torch.ones(8))
    with pytest.raises(ValueError, match="same as input size"):
        nn.BCEWithLogitsLoss()(scores(8, 1), torch.ones(8, dtype=torch.float64))


@ELEMENTWISE
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_probabilities_in_place_of_scores(name: str, dtype: torch.dtype) -> None:
    score = torch.linspace(-8.0, 8.0, 33, dtype=dtype)
    by_score, by_probability = build(name), build(name, input="probability")
    probability = torch.sigmoid(score)
    close = {"rtol": 1e-9, "atol": 1e-9} if dtype is torch.float64 else {"rtol": 1e-3, "atol": 1e-3}
    torch.testing.assert_close(by_probability(probability, 1.0), by_score(score, 1.0), **close)
    torch.testing.assert_close(by_probability.generator_loss(probability), by_score.generator_loss(score), **close)
    torch.testing.assert_close(
        by_probability.discriminator_loss(probability, probability), by_score.discriminator_loss(score, score), **close
    )
    assert by_probability(torch.tensor([0.0, 1.0], dtype=dtype), 1.0).isfinite()


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="reduction must be 'mean', 'sum' or 'none', not 'average'"):
        build("bce", reduction="average")
    with pytest.raises(ValueError, match="input must be 'score' or 'probability', not 'logit'"):
        build("bce", input="logit")
    assert repr(build("bce", reduction="sum")) == "BCE(reduction='sum', input='score')"


# The check for a sigmoid that should not be there.

IN_RANGE = torch.linspace(0.0, 1.0, 11)


def feed(criterion: Any, calls: int, score: Any = IN_RANGE) -> int:
    """Number of warnings that the calls gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(calls):
            if number % 3 == 0:
                criterion(score, 1.0)
            elif number % 3 == 1:
                criterion.discriminator_loss(score, score)
            else:
                criterion.generator_loss(score)
    for warning in caught:
        assert "takes raw scores, but all it was given lies in [0, 1]" in str(warning.message)
    return len(caught)


@ELEMENTWISE
def test_warns_once_when_ten_calls_look_like_probabilities(name: str) -> None:
    criterion = build(name)
    assert feed(criterion, 9) == 0
    assert feed(criterion, 1) == 1
    assert feed(criterion, 50) == 0


@pytest.mark.parametrize(
    "score",
    [
        torch.tensor([0.5, 1.01]),
        torch.tensor([-1e-6, 0.5]),
        [IN_RANGE, torch.tensor([2.0])],
        torch.tensor([torch.nan]),
    ],
)
def test_does_not_warn_when_any_score_lies_outside(score: Any) -> None:
    criterion = build("bce")
    assert feed(criterion, 9) == 0
    assert feed(criterion, 1, score) == 0
    assert feed(criterion, 30) == 0  # the check is gone
    criterion = build("bce")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        criterion.discriminator_loss(IN_RANGE, score if isinstance(score, Tensor) else score[1])
    assert feed(criterion, 30) == 0


def test_warns_for_lists_and_halves_too() -> None:
    assert feed(build("hinge"), 10, [IN_RANGE, IN_RANGE[:3]]) == 1
    assert feed(build("hinge"), 10, IN_RANGE.half()) == 1
    assert feed(build("hinge"), 10, IN_RANGE.clone().requires_grad_()) == 1


def test_does_not_warn_for_small_raw_scores_or_in_probability_mode() -> None:
    assert feed(build("hinge"), 30, 0.4 * IN_RANGE) == 0
    assert feed(build("hinge", input="probability"), 30) == 0


def test_the_check_costs_nothing_when_it_is_over() -> None:
    """A look at the values is a wait for the GPU."""

    class Untouchable(Tensor):
        looked = 0

        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.__name__ in ("__bool__", "item", "all", "__ge__", "ge"):
                cls.looked += 1
            return super().__torch_function__(func, types, args, kwargs or {})

    score = IN_RANGE.as_subclass(Untouchable)  # type: ignore[arg-type]
    criterion = build("wasserstein")
    feed(criterion, 10, score)
    assert Untouchable.looked > 0
    Untouchable.looked = 0
    feed(criterion, 3, score)
    assert Untouchable.looked == 0


@pytest.fixture
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*takes raw scores.*")
        yield


@ELEMENTWISE
@pytest.mark.usefixtures("_no_warning")
def test_torch_func_transforms_work_and_are_not_looked_into(name: str) -> None:
    criterion = build(name)
    batch = torch.rand(7, 5, dtype=torch.float64)
    for _ in range(12):
        rows = torch.func.vmap(lambda s: criterion(s, 1.0))(batch)
    torch.testing.assert_close(rows, torch.stack([build(name)(row, 1.0) for row in batch]))
    targets = torch.rand(7, 5, dtype=torch.float64)
    rows = torch.func.vmap(criterion)(batch, targets)
    torch.testing.assert_close(rows, torch.stack([build(name)(s, t) for s, t in zip(batch, targets, strict=True)]))
    rows = torch.func.vmap(criterion.discriminator_loss)(batch, batch + 1.0)
    torch.testing.assert_close(rows, torch.stack([build(name).discriminator_loss(row, row + 1.0) for row in batch]))
    slopes = torch.func.grad(criterion.generator_loss)(batch)
    score = batch.clone().requires_grad_()
    value = build(name).generator_loss(score)
    if value.requires_grad:
        torch.testing.assert_close(slopes, torch.autograd.grad(value, score)[0])
    torch.func.vmap(torch.func.grad(criterion.generator_loss))(batch)


@pytest.mark.parametrize("name", ["bce", "hinge"])
def test_the_check_does_not_stop_at_tensors_without_values(name: str) -> None:
    criterion = build(name)
    with torch.device("meta"):
        assert criterion(torch.rand(4), 1.0).shape == ()
    with FakeTensorMode():
        assert criterion.discriminator_loss(torch.rand(4), torch.rand(3)).shape == ()
    make_fx(lambda score: criterion.generator_loss(score))(torch.rand(4))
    assert feed(criterion, 9) == 0
    assert feed(criterion, 1) == 1


@pytest.mark.parametrize("score", [[0.5, 0.2], np.zeros(3), {"score": torch.zeros(3)}, [torch.zeros(3), None]])
def test_scores_that_are_no_tensors_are_refused(score: Any) -> None:
    for call in (lambda: build("bce")(score, 1.0), lambda: build("bce").generator_loss(score)):
        with pytest.raises(TypeError, match="scores must be tensors, or lists of tensors"):
            call()


def test_scores_may_be_lists_of_lists() -> None:
    nested = [[IN_RANGE, IN_RANGE[:3]], [IN_RANGE[:5]]]
    for reduction in ("mean", "sum"):
        scales = [build("bce", reduction=reduction)(scale, 1.0) for scale in nested]
        torch.testing.assert_close(build("bce", reduction=reduction)(nested, 1.0), sum(scales) / 2.0)


@ELEMENTWISE
@pytest.mark.usefixtures("_no_warning")
def test_torch_export_works_and_is_not_looked_into(name: str) -> None:
    criterion = build(name)
    for _ in range(11 if name == "bce" else 1):
        program = torch.export.export(criterion, (IN_RANGE, torch.ones(11)))
    torch.testing.assert_close(program.module()(2.0 * IN_RANGE, torch.ones(11)), build(name)(2.0 * IN_RANGE, 1.0))


@pytest.mark.usefixtures("_no_warning")
def test_torch_compile_works_in_one_graph_and_is_not_looked_into() -> None:
    """All of torch.compile but the C++ code generator, which has nothing of ours to look at."""
    criterion = build("ganetic")
    compiled = torch.compile(criterion, fullgraph=True, backend="aot_eager")
    for _ in range(12):
        torch.testing.assert_close(compiled(IN_RANGE, 1.0), build("ganetic")(IN_RANGE, 1.0))


@EVERY
def test_it_has_no_state_and_can_be_copied_and_pickled(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"emitted_{name}.py"
    path.write_text(SOURCES[name], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
        (made,) = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, nn.Module))
        criterion = made(reduction="sum", input="probability")
        assert criterion.state_dict() == {}
        assert list(criterion.parameters()) == list(criterion.buffers()) == []
        criterion.load_state_dict({})
        for other in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):  # noqa: S301
            assert (other.reduction, other.input) == ("sum", "probability")
            ours, theirs = (made.generator_loss(IN_RANGE, 0.5 * IN_RANGE) for made in (criterion, other))
            torch.testing.assert_close(ours, theirs)
    finally:
        del sys.modules[path.stem]


@EVERY
def test_it_imports_nothing_but_torch_and_warnings(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported == {"torch", "warnings"}


@EVERY
def test_everything_it_imports_or_defines_is_used(name: str) -> None:
    tree = ast.parse(SOURCES[name])
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert {(alias.asname or alias.name) for alias in node.names} <= used
        elif isinstance(node, ast.Assign):
            assert {target.id for target in node.targets if isinstance(target, ast.Name)} <= used
        elif isinstance(node, ast.FunctionDef):
            assert node.name in used


@pytest.mark.parametrize("name", ["bce", "hinge"])
def test_it_trains_a_discriminator(name: str) -> None:
    torch.manual_seed(0)
    net, criterion = nn.Linear(2, 1), build(name)
    optimiser = torch.optim.Adam(net.parameters(), 0.1)
    real, fake = scores(64, 2, dtype=torch.float32) + 4.0, scores(64, 2, seed=1, dtype=torch.float32) - 4.0
    losses = []
    for _ in range(60):
        loss = criterion.discriminator_loss(net(real), net(fake))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert net(real).mean() > net(fake).mean()
