"""Differentiable augmentation: closed forms of each part, what it leaves alone, and what it is drawn from."""

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from lossgen.errors import InputError
from lossgen.gan.augment import FEW_IMAGES, PARTS, Draws, apply, cat, default_policy, draw, parse_policy

ALL = ("colour", "translation", "cutout")


def images(count: int = 4, channels: int = 3, size: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(count + channels + size)
    return torch.rand(count, channels, size, size, generator=source, dtype=dtype) * 2 - 1


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(images: Tensor, part: str, *numbers: float) -> Tensor:
    return apply(images, Draws((part,), torch.tensor([numbers]).expand(len(images), -1)))


def moved(images: Tensor, down: int, right: int) -> Tensor:
    """Translated by these numbers of pixels."""
    most = max(1, round(images.shape[-1] / 8 + 1e-9))
    return changed(images, "translation", *((shift + most + 0.5) / (2 * most + 1) for shift in (down, right)))


def test_policies() -> None:
    assert parse_policy("none") == ()
    assert parse_policy("colour") == parse_policy("color") == parse_policy(" colour ,color") == ("colour",)
    assert parse_policy("cutout, colour,translation") == ALL == tuple(PARTS)
    for text in ("", "flip", "colour,flip", "none,colour", "colour,"):
        with pytest.raises(InputError, match="give none, or some of colour, translation, cutout"):
            parse_policy(text)


def test_on_by_default_for_few_images() -> None:
    assert FEW_IMAGES == 5000
    assert default_policy(4999) == ALL and default_policy(5000) == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 64])
def test_neutral_draws_change_nothing(channels: int, size: int) -> None:
    given = images(4, channels, size, torch.float32)
    assert apply(given, Draws((), torch.empty(4, 0))).equal(given)
    assert apply(given, Draws(("colour", "translation"), torch.full((4, 5), 0.5))).equal(given)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 28, 32, 48, 64])
def test_every_part_changes_images_of_every_size(channels: int, size: int) -> None:
    given = images(16, channels, size, torch.float32)
    for policy in (*((name,) for name in PARTS), ALL):
        found = apply(given, draw(policy, 16, source()))
        assert found.shape == given.shape and found.dtype == given.dtype
        assert found.isfinite().all() and not found.equal(given)


def test_brightness_is_added() -> None:
    given = images()
    for number, added in ((0.0, -0.5), (0.25, -0.25), (0.75, 0.25)):
        torch.testing.assert_close(changed(given, "colour", number, 0.5, 0.5), given + added)


def test_saturation_is_about_the_mean_over_channels() -> None:
    given = images()
    grey = given.mean(1, keepdim=True).expand_as(given)
    torch.testing.assert_close(changed(given, "colour", 0.5, 0.0, 0.5), grey)
    torch.testing.assert_close(changed(given, "colour", 0.5, 0.75, 0.5), grey + 1.5 * (given - grey))
    alone = images(channels=1)
    assert changed(alone, "colour", 0.5, 0.9, 0.5).equal(alone)


def test_contrast_is_about_the_mean_of_the_image() -> None:
    given = images()
    for number, factor in ((0.0, 0.5), (0.25, 0.75), (0.75, 1.25)):
        found = changed(given, "colour", 0.5, 0.5, number)
        means = given.mean((1, 2, 3))
        torch.testing.assert_close(found.mean((1, 2, 3)), means)
        torch.testing.assert_close(found.std((1, 2, 3)), given.std((1, 2, 3)) * factor)
        torch.testing.assert_close(found, (given - means[:, None, None, None]) * factor + means[:, None, None, None])


def test_parts_of_colour_may_come_in_any_order() -> None:
    at_once = changed(images(), "colour", 0.9, 0.3, 0.1)
    numbers = {0: (0.9, 0.5, 0.5), 1: (0.5, 0.3, 0.5), 2: (0.5, 0.5, 0.1)}
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        found = images()
        for part in order:
            found = changed(found, "colour", *numbers[part])
        torch.testing.assert_close(found, at_once)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -1), (-1, 1), (1, 1)])
def test_translation_moves_whole_pixels_and_fills_with_grey(down: int, right: int) -> None:
    given = images()
    padded = torch.zeros(4, 3, 12, 12, dtype=given.dtype)
    padded[:, :, 2 + down : 10 + down, 2 + right : 10 + right] = given
    assert moved(given, down, right).equal(padded[:, :, 2:10, 2:10])


@pytest.mark.parametrize(("size", "most"), [(8, 1), (16, 2), (28, 4), (32, 4), (48, 6), (64, 8)])
def test_translations_reach_an_eighth_of_the_side_and_are_equally_likely(size: int, most: int) -> None:
    count = 400 * (2 * most + 1)
    marked = torch.zeros(1, 1, size, size)
    marked[0, 0, size // 2, size // 2] = 1
    found = apply(marked.expand(count, -1, -1, -1), draw(("translation",), count, source()))
    assert found.sum().item() == count
    for axis in (2, 3):
        places = found.sum(5 - axis).argmax(2).flatten() - size // 2
        numbers = torch.bincount(places + most)
        assert len(numbers) == 2 * most + 1
        assert ((numbers - 400).abs() < 5 * 400**0.5).all()


@pytest.mark.parametrize(("size", "hole"), [(8, 4), (16, 8), (28, 14), (30, 15), (64, 32)])
def test_cutout_is_a_square_with_its_centre_anywhere(size: int, hole: int) -> None:
    found = apply(torch.ones(1500, 2, size, size), draw(("cutout",), 1500, source()))
    assert found[:, 0].equal(found[:, 1]) and set(found.unique().tolist()) == {0.0, 1.0}
    gone = found[:, 0] == 0
    rows, columns = gone.any(2), gone.any(1)
    assert gone.equal(rows[:, :, None] & columns[:, None])
    for hit in (rows, columns):
        lengths = hit.sum(1)
        assert ((hit[:, 1:] != hit[:, :-1]).sum(1) <= 2).all()  # in one piece
        assert lengths.max() == hole and lengths.min() == (hole + 1) // 2
        clipped = lengths < hole
        assert (hit[:, 0] | hit[:, -1])[clipped].all()
        # As often above as below, and the centre everywhere.
        assert hit[:, 0].float().mean().item() == pytest.approx(hit[:, -1].float().mean().item(), abs=0.05)
        expected = hole / (size + 1 - hole % 2)
        assert hit[:, size // 2].float().mean().item() == pytest.approx(expected, abs=0.05)


def test_what_is_cut_out_is_grey_and_the_rest_untouched() -> None:
    given = images()
    found = changed(given, "cutout", 0.0, 0.999)
    expected = given.clone()
    expected[:, :, :2, 6:] = 0
    assert found.equal(expected)


def test_nothing_is_mirrored_or_turned() -> None:
    """An L stays an L: its mirror image or a turned one fits better in none of 100 changes."""
    shape = torch.full((16, 16), -1.0)
    shape[3:13, 5] = shape[12, 5:11] = 1.0
    found = apply(shape.expand(100, 1, 16, 16), draw(("colour", "translation"), 100, source()))[:, 0]

    def likeness(other: Tensor) -> Tensor:
        shifts = [other.roll((down, right), (0, 1)) for down in range(-2, 3) for right in range(-2, 3)]
        centred = found - found.mean((1, 2), keepdim=True)
        return torch.stack([(centred * (shift - shift.mean())).sum((1, 2)) for shift in shifts]).amax(0)

    for other in (shape.flip(0), shape.flip(1), shape.rot90(), shape.T):
        assert (likeness(shape) > likeness(other)).all()


@pytest.mark.parametrize("policy", [*((name,) for name in PARTS), ALL])
def test_gradients_flow(policy: tuple[str, ...]) -> None:
    given = images(2, 2, 4).requires_grad_()
    draws = draw(policy, 2, source(3))
    assert torch.autograd.gradcheck(lambda x: apply(x, draws), given)
    assert torch.autograd.gradgradcheck(lambda x: apply(x, draws).square(), given)


def test_no_gradient_from_what_is_not_seen() -> None:
    given = torch.ones(1, 1, 8, 8, requires_grad=True)
    changed(given, "cutout", 0.0, 0.0).sum().backward()
    assert given.grad is not None
    assert not given.grad[..., :2, :2].any() and given.grad.sum().item() == 60


def test_the_same_draws_give_the_same_images() -> None:
    given = images()
    first, again, other = (draw(ALL, 4, source(seed)) for seed in (5, 5, 6))
    assert first.policy == again.policy and first.uniform.equal(again.uniform)
    assert apply(given, first).equal(apply(given, first)) and apply(given, first).equal(apply(given, again))
    assert not apply(given, first).equal(apply(given, other))


def test_draws_move_their_own_stream_only() -> None:
    before = torch.get_rng_state()
    generator = source()
    start = generator.get_state()
    draws = draw(ALL, 4, generator)
    assert not generator.get_state().equal(start)
    drawn = generator.get_state()
    apply(images(), draws)
    assert generator.get_state().equal(drawn) and torch.get_rng_state().equal(before)


def test_each_image_by_its_own_row_alone() -> None:
    given, draws = images(), draw(ALL, 4, source())
    poisoned = given.clone()
    poisoned[2] = float("nan")
    found, clean = apply(poisoned, draws), apply(given, draws)
    for row in (0, 1, 3):
        assert found[row].equal(clean[row])
        torch.testing.assert_close(apply(given[row : row + 1], Draws(ALL, draws.uniform[row : row + 1]))[0], clean[row])


def test_members_at_once_as_one_by_one() -> None:
    members = [images(4, 1, 8, torch.float32) + shift for shift in (0.0, 0.1, 0.2)]
    draws = [draw(ALL, 4, source(seed)) for seed in (0, 1, 2)]
    one_by_one = torch.stack([apply(*pair) for pair in zip(members, draws)])
    torch.testing.assert_close(apply(torch.cat(members), cat(draws)), one_by_one.flatten(0, 1), rtol=1e-6, atol=1e-6)
    rows = torch.stack([each.uniform for each in draws])
    stacked = vmap(lambda images, uniform: apply(images, Draws(ALL, uniform)))(torch.stack(members), rows)
    torch.testing.assert_close(stacked, one_by_one, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="too many values"):
        cat([draws[0], draw(("colour",), 4, source())])


def test_half_precision_moves_the_same_pixels() -> None:
    given, draws = images(8, 3, 16, torch.float32), draw(ALL, 8, source())
    whole = apply(given, draws)
    half = apply(given.to(torch.bfloat16), draws)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), whole, rtol=0.02, atol=0.04)
