"""Audits: generators that copy, that leak, that repeat themselves, and that do none of it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.cli import cli
from lossgen.errors import InputError
from lossgen.gan.auditing import Audit, audit
from lossgen.gan.leaks import Kind, checks, closest
from lossgen.gan.nearest import nearest
from lossgen.gan.neighbours import near, neighbourhoods, radii


def blobs(count: int, seed: int, centre: int = 4, size: int = 8, noise: int = 15) -> np.ndarray:
    """Images (N, 1, size, size) of a bright blob of random width and place, on a noisy ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    places, widths = rng.normal(centre, 1.0, (count, 2, 1, 1)), rng.uniform(0.8, 2.5, (count, 1, 1))
    squares = (y - places[:, 0]) ** 2 + (x - places[:, 1]) ** 2
    images = 220 * np.exp(-squares / widths**2) + 15 + rng.uniform(-noise, noise, (count, size, size))
    return images.astype(np.uint8)[:, None]


def kind(fakes: np.ndarray, name: str | None = None) -> Kind:
    return Kind(name, blobs(300, 0), blobs(120, 1), fakes)


def failed(fakes: np.ndarray) -> set[str]:
    return {check.name for check in checks([kind(fakes)]) if not check.passed}


def noisy(images: np.ndarray, strength: int, seed: int = 5) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-strength, strength + 1, images.shape)
    return np.clip(images.astype(int) + noise, 0, 255).astype(np.uint8)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.booleans())
@settings(max_examples=40)
def test_nearest_is_what_brute_force_finds(seed: int, count: int, others: int, itself: bool) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 4, (count, 1, 2, 2), dtype=np.uint8)
    among = images if itself else rng.integers(0, 4, (others, 1, 2, 2), dtype=np.uint8)
    squares = ((images[:, None].astype(float) - among[None]) ** 2).mean((2, 3, 4))
    if itself:
        np.fill_diagonal(squares, np.inf)
    distances, which = nearest(images, among, itself)
    assert np.allclose(distances, np.sqrt(squares.min(1))) and (which == squares.argmin(1)).all()


def test_it_is_exact_over_many_tiles() -> None:
    rng = np.random.default_rng(0)
    images, among = (rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8) for n in (1100, 2100))
    among[2050] = images[1050]
    distances, which = nearest(images, among)
    assert distances[1050] == 0.0 and which[1050] == 2050 and (np.delete(distances, 1050) > 0).all()
    assert nearest(images, images, itself=True)[0].min() > 0


def test_coverage_and_density_of_each_image_make_those_of_all() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(90, 5)), rng.normal(0.5, 1, (40, 5))
    whole = neighbourhoods(real, fake, 5)
    for tile in (16, 1024):
        around, covered = near(real, fake, radii(real, 5), tile)
        assert covered.mean() == pytest.approx(whole.coverage) and around.mean() / 5 == pytest.approx(whole.density)
    with pytest.raises(ValueError, match="5 dimensions against features of 3"):
        near(real, fake[:, :3], radii(real, 5))


@pytest.mark.parametrize("count", [40, 200, 1500])
def test_a_generator_that_draws_new_images_passes(count: int) -> None:
    """However many they are beside 300 training images."""
    for seed in (2, 3, 4):
        assert failed(blobs(count, seed)) == set()


def test_what_could_not_show_is_not_passed() -> None:
    """Others of quite another kind: copies with noise are no nearer to training than any image like it would be."""
    apart = Kind(None, blobs(300, 0), 255 - blobs(120, 1), noisy(blobs(300, 0), 4))
    found = {check.name: check for check in checks([apart])}
    for name in ("nearer to training", "membership"):
        assert not found[name].judged and not found[name].passed and found[name].word == "cannot be judged"


def test_copies_are_found_and_so_are_copies_with_noise() -> None:
    training = blobs(300, 0)
    assert failed(training[:200]) >= {"copies", "nearer to training", "membership"}
    assert failed(noisy(training[:200], 4)) >= {"nearer to training", "membership"}
    few = np.concatenate([noisy(training[:80], 4), blobs(120, 3)])
    assert "nearer to training" in failed(few)  # though most of it is new
    found = {check.name: check for check in checks([kind(noisy(training, 2))])}
    assert found["nearer to training"].value > 0.9 and found["copies"].value == 0.0


def test_a_generator_that_repeats_itself_fails_by_that_alone() -> None:
    new = blobs(20, 2)
    assert failed(np.repeat(new, 10, axis=0)) == {"duplicates", "repeats"}
    assert failed(noisy(np.repeat(new, 10, axis=0), 2)) == {"duplicates"}
    assert "repeats" in failed(np.repeat(blobs(900, 2), 2, axis=0))  # of few of so many images few would be seen twice


def test_smooth_images_are_close_to_everything_and_pass() -> None:
    """Images without noise lie nearer to all real ones than these to each other: no sign of copying."""
    smooth = blobs(200, 2, noise=0)
    usual = nearest(blobs(120, 1), blobs(300, 0))[0].mean()
    assert nearest(smooth, blobs(300, 0))[0].mean() < 0.9 * usual
    assert not failed(smooth) & {"nearer to training", "membership", "copies"}


def test_other_images_of_another_kind_are_allowed_for() -> None:
    """Training images from one hospital and others from the next: new images of the first are no copies."""
    apart = Kind(None, blobs(300, 0), blobs(120, 1, centre=3), blobs(200, 2))
    assert all(check.passed for check in checks([apart]))
    found = {check.name: check for check in checks([apart])}
    assert found["membership"].usual > 0.55


def test_classes_are_held_against_their_own() -> None:
    two = [kind(blobs(100, 2), "a"), Kind("b", blobs(300, 10, 2), blobs(120, 11, 2), noisy(blobs(300, 10, 2)[:100], 3))]
    found = {check.name: check for check in checks(two)}
    assert not found["nearer to training"].passed and 0.3 < found["nearer to training"].value < 0.7


def test_the_closest_pairs_are_the_closest() -> None:
    fakes = np.concatenate([blobs(50, 2), noisy(blobs(300, 0)[7:9], 1)])
    pairs = closest([kind(fakes)])
    assert pairs.images.shape == (3, 8, 1, 8, 8) and (np.diff(pairs.to_training) >= 0).all()
    assert {image.tobytes() for image in pairs.images[1, :2]} == {image.tobytes() for image in blobs(300, 0)[7:9]}
    assert pairs.to_training[1] < pairs.usual[1] and pairs.to_others[0] > pairs.to_training[0]


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """real.npz with two classes and splits, bare.npz without any, and some generated ones."""
    labels = {"train": np.arange(300) % 2, "val": np.arange(60) % 2, "test": np.arange(60) % 2}
    arrays: dict[str, np.ndarray] = {"classes": np.array(["well", "ill"])}
    for seed, (split, of) in enumerate(labels.items()):
        both = np.where((of == 1)[:, None, None, None], blobs(len(of), 20 + seed, 2), blobs(len(of), seed))
        arrays |= {f"{split}_images": both[:, 0], f"{split}_labels": of}
    np.savez(tmp_path / "real.npz", **arrays)
    np.savez(tmp_path / "real2.npz", **arrays)
    np.savez(tmp_path / "bare.npz", images=blobs(300, 0)[:, 0])
    np.savez(tmp_path / "other.npz", images=blobs(80, 7)[:, 0])
    np.savez(tmp_path / "new.npz", images=blobs(100, 5)[:, 0])
    np.savez(tmp_path / "copies.npz", images=blobs(300, 0)[::2, 0])  # of real.npz, where these are well
    return tmp_path


def audited(sets: Path, real: str = "real", fake: str = "new", **more: str) -> Audit:
    return audit(str(sets / f"{real}.npz"), str(sets / f"{fake}.npz"), **more)  # type: ignore[arg-type]


def test_an_audit_says_what_it_held_against_what(sets: Path) -> None:
    found = audited(sets, of_class="well")
    assert found.passed and found.counts == {"training": 300, "other": 120, "generated": 100}
    assert any("FAKE is of well only" in note for note in found.notes)
    assert any("has no classes: it is held against" in note for note in audited(sets).notes)
    assert [row.kind for row in found.coverage] == ["all", "class well"] and found.coverage[0].count == 60
    assert 0 < found.coverage[0].by_fake <= 1 and found.coverage[0].by_real > 0.5
    bare = audited(sets, "bare", "copies")
    assert not bare.passed and any("validation and test made" in note for note in bare.notes)
    told = audited(sets, "bare", "new", held_out=str(sets / "other.npz"))
    assert told.counts["other"] == 80 and told.passed and told.others.endswith("other.npz")


def test_groups_come_from_a_csv_file(sets: Path, tmp_path: Path) -> None:
    rows = [(f"{split}/{i}", "old" if i % 3 else "young") for split in ("validation", "test") for i in range(60)]

    def write(given: list[tuple[str, str]], head: str = "image") -> str:
        with (tmp_path / "groups.csv").open("w", newline="") as file:
            csv.writer(file).writerows([(head, "group"), *given])
        return str(tmp_path / "groups.csv")

    found = audited(sets, groups=write(rows))
    of_groups = {row.kind: row.count for row in found.coverage if row.kind.startswith("group")}
    assert of_groups == {"group old": 80, "group young": 40}
    with pytest.raises(InputError, match=r"says nothing of 1 image \(the first: validation/0\)"):
        audited(sets, groups=write(rows[1:]))
    with pytest.raises(InputError, match="cannot read"):
        audited(sets, groups="no.csv")
    with pytest.raises(InputError, match="columns image and group"):
        audited(sets, groups=write(rows, "file"))


@pytest.mark.parametrize(
    ("more", "message"),
    [({"of_class": "odd"}, "class odd, which is none of the training images'"), ({"held_out": "nowhere"}, "nowhere")],
)
def test_what_cannot_be_audited(sets: Path, more: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        audited(sets, **more)
    with pytest.raises(InputError, match="--class well: the real images have no classes"):
        audited(sets, "bare", of_class="well")
    with pytest.raises(InputError, match="have classes of their own"):
        audited(sets, "real", "real2", of_class="well")
    np.savez(sets / "few.npz", images=blobs(9, 2)[:, 0])
    with pytest.raises(InputError, match="9 generated images are too few; give at least 20"):
        audited(sets, "bare", "few")


def test_the_command_writes_a_page_and_fails_where_a_check_does(sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    names = [str(sets / f"{name}.npz") for name in ("real", "copies")]
    done = CliRunner().invoke(cli, ["audit", *names, "--class", "well", "--out", str(out)])
    assert done.exit_code == 1 and done.output.startswith("Failed: copies, nearer to training")
    assert "differential privacy" in done.output and {path.name for path in out.iterdir()} == {
        "audit.md", "audit.json", "pairs.png"
    }  # fmt: skip
    page = (out / "audit.md").read_text()
    assert page.startswith("# Audit of generated images") and "![" in page and "| copies | FAILED | 1.000 |" in page
    numbers = json.loads((out / "audit.json").read_text())
    assert numbers["schema"] == 1 and not numbers["passed"] and len(numbers["checks"]) == 5
    good = CliRunner().invoke(cli, ["audit", names[0], str(sets / "new.npz"), "--class", "well", "--json"])
    assert good.exit_code == 0 and json.loads(good.output)["passed"]
