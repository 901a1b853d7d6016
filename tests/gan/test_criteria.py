"""Losses of several members at once: as each by itself, whatever the others do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lossgen.codegen.load import load_argument, load_source, zoo_names
from lossgen.gan.criteria import Criteria, Slopes

NAMES = [name for name in zoo_names() if not name.startswith("relativistic")]


def zoo(name: str) -> nn.Module:
    return load_source(load_argument(name).source)


def scores(members: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    real, fake = (torch.randn(members, 16, generator=generator) for _ in range(2))
    return real, fake


def alone(criterion: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Value and gradients by autograd: of the discriminator, by real and by fake; of the generator, by fake."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    value = criterion.discriminator_loss(real, fake)
    by_real, by_fake = torch.autograd.grad(value, (real, fake))
    given = [fake, real.detach()] if getattr(criterion, "needs_real", False) else [fake]
    generator = criterion.generator_loss(*given)
    return value.detach(), by_real, by_fake, torch.autograd.grad(generator, fake)[0]


@pytest.mark.parametrize("kinds", [None, "same"])
def test_values_and_gradients_are_those_of_autograd(kinds: str | None) -> None:
    names = [*NAMES, *NAMES]
    criteria = [zoo(name) for name in names]
    real, fake = scores(len(names))
    found = Criteria(criteria, names if kinds else range(len(names)))
    discriminator, generator = found.discriminator(real, fake), found.generator(fake, None)
    for i, criterion in enumerate(criteria):
        value, by_real, by_fake, of_generator = alone(criterion, real[i], fake[i])
        torch.testing.assert_close(discriminator.values[i], value)
        torch.testing.assert_close(discriminator.gradients[0][i], by_real)
        torch.testing.assert_close(discriminator.gradients[1][i], by_fake)
        torch.testing.assert_close(generator.gradients[0][i], of_generator)


def test_losses_that_look_at_the_batch_see_their_own_only() -> None:
    criteria = [zoo("relativistic_average") for _ in range(2)] + [zoo("bce")]
    real, fake = scores(3)
    found = Criteria(criteria, ["r", "r", "b"])
    assert found.needs_real
    discriminator, generator = found.discriminator(real, fake), found.generator(fake, real)
    for i, criterion in enumerate(criteria):
        value, by_real, by_fake, of_generator = alone(criterion, real[i], fake[i])
        torch.testing.assert_close(discriminator.values[i], value)
        torch.testing.assert_close(discriminator.gradients[0][i], by_real)
        torch.testing.assert_close(discriminator.gradients[1][i], by_fake)
        torch.testing.assert_close(generator.gradients[0][i], of_generator)


class Counting(nn.Module):
    """Does not run under vmap: it asks for a value."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.mean() if float(real.detach().sum()) > 0 else fake.mean()


def test_what_does_not_run_under_vmap_is_evaluated_row_by_row() -> None:
    real = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    found = Criteria([Counting(), Counting()], ["c", "c"]).discriminator(real, -real)
    assert found.values.tolist() == [1.5, 1.5]
    assert found.gradients[0].tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert not found.errors


def raising(function: Callable[[Tensor], object]) -> nn.Module:
    class Written(nn.Module):
        def discriminator_loss(self, real: Tensor, fake: Tensor) -> object:
            return function(real)

    return Written()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda real: 1 / 0, ZeroDivisionError),
        (lambda real: real, TypeError),
        (lambda real: 3.0, TypeError),
        (lambda real: torch.zeros(()), RuntimeError),  # no gradient at all
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_what_a_loss_raises_stays_with_its_members(
    function: Callable[[Tensor], object], error: type[Exception], together: bool
) -> None:
    real, fake = scores(4)
    bad = raising(function)
    kinds = ["bce", "bad", "bad", "bce"] if together else range(4)
    found = Criteria([zoo("bce"), bad, bad, zoo("bce")], kinds).discriminator(real, fake)
    clean = Criteria([zoo("bce"), zoo("bce")], [0, 1]).discriminator(real[[0, 3]], fake[[0, 3]])
    assert {i: type(e) for i, e in found.errors.items()} == {1: error, 2: error}
    torch.testing.assert_close(found.values[[0, 3]], clean.values)
    torch.testing.assert_close(found.gradients[0][[0, 3]], clean.gradients[0])
    assert found.values[[1, 2]].tolist() == [0.0, 0.0] and not found.gradients[0][[1, 2]].any()


def test_nan_stays_in_its_row() -> None:
    real, fake = scores(3)
    bad = raising(lambda real: torch.log(real - 1e9).mean())

    def of(criteria: list[nn.Module], rows: list[int]) -> Slopes:
        return Criteria(criteria, range(len(rows))).discriminator(real[rows], fake[rows])

    mixed, clean = of([zoo("bce"), bad, zoo("hinge")], [0, 1, 2]), of([zoo("bce"), zoo("hinge")], [0, 2])
    assert mixed.values[1].isnan()
    torch.testing.assert_close(mixed.gradients[1][[0, 2]], clean.gradients[1])


def test_want_of_memory_is_nobodys_fault() -> None:
    def full(real: Tensor) -> object:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        Criteria([raising(full)], [0]).discriminator(*scores(1))
