"""Pictures are drawn, show what they should, and nothing is drawn of nothing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.codegen.load import load_argument
from lossgen.errors import InputError
from lossgen.evolution.compare import Comparison, Contestant, summarise_outcomes
from lossgen.evolution.entry import Entry
from lossgen.report import figures
from lossgen.report.figures import box_plot, sample_grids
from lossgen.report.images import write_images
from lossgen.report.live import duration
from lossgen.runner import Outcome


def ink(path: Path) -> float:
    return float(np.asarray(Image.open(path).convert("L")).std())


def test_grids_of_grey_and_colour_at_the_asked_replicate(tmp_path: Path) -> None:
    groups, contestants = {}, []
    for i, (name, channels) in enumerate((("bce", 1), ("hinge", 3))):
        entry = Entry.of(load_argument(name).loss)
        np.savez(tmp_path / f"{i}.npz", images=np.full((64, channels, 8, 8), 255 * i, np.uint8))
        groups[entry.digest] = [Outcome("ok", {"FD": float(i + 1)}, files={"samples": tmp_path / f"{i}.npz"})] * 2
        contestants.append(Contestant(entry, "loss"))
    made = summarise_outcomes("FD", "min", contestants, groups, 2, 10)
    assert sample_grids(made, tmp_path / "s.png", replicate=1)
    assert ink(tmp_path / "s.png") > 30
    assert not sample_grids(made, tmp_path / "none.png", replicate=2)
    box_plot(made, tmp_path / "b.png")
    assert ink(tmp_path / "b.png") > 5


def many(tmp_path: Path, losses: int, seeds: int, values: Sequence[float]) -> Comparison:
    """Losses of long names, whose samples are all red."""
    groups, contestants = {}, []
    images = np.zeros((64, 3, 8, 8), np.uint8)
    images[:, 0] = 255
    np.savez(tmp_path / "red.npz", images=images)
    loss = load_argument("bce").loss
    for i in range(losses):
        entry = Entry.of(loss.renamed(f"Evolved_{i:08}")).under({"r1": float(i)})
        files = {"samples": tmp_path / "red.npz"}
        groups[entry.key] = [Outcome("ok", {"FD": values[k % len(values)]}, files=files) for k in range(seeds)]
        contestants.append(Contestant(entry, "loss", needs="gradient_penalty(10) + drift(0.001)"))
    return summarise_outcomes("FD", "min", contestants, groups, seeds, 10)


def test_many_losses_of_long_names_fit_on_a_page(tmp_path: Path) -> None:
    made = many(tmp_path, 13, 25, [1.0, 2.0, 3.0])
    box_plot(made, tmp_path / "b.png")
    assert sample_grids(made, tmp_path / "s.png")
    for name in ("b.png", "s.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width < 1800 and picture.height < 2400
    with Image.open(tmp_path / "s.png") as picture:
        red, green, blue = np.asarray(picture.convert("RGB")).reshape(-1, 3).T.astype(int)
        assert np.mean((red > 200) & (green < 60) & (blue < 60)) > 0.3, "colour is shown as colour"


def test_one_outlier_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scales = []
    monkeypatch.setattr(figures, "save", lambda figure, path: scales.append(figure.axes[0].get_xscale()))
    for values in ([1.0, 2.0, 19.0], [1.0, 2.0, 200.0], [-1.0, 2.0, 200.0]):
        box_plot(many(tmp_path, 2, 3, values), tmp_path / "b.png")
    assert scales == ["linear", "log", "linear"]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_images_are_written_as_they_are_and_never_over_others(tmp_path: Path, channels: int, mode: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, channels, 4, 6), dtype=np.uint8)
    write_images(images, tmp_path / "new")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names[0] == "00.png" and len(names) == 11
    with Image.open(tmp_path / "new" / "10.png") as picture:
        assert picture.mode == mode
        assert np.array_equal(np.asarray(picture).reshape(4, 6, channels), images[10].transpose(1, 2, 0))
    with pytest.raises(InputError, match="holds PNG files already"):
        write_images(images, tmp_path / "new")


def test_durations_read_as_people_say_them() -> None:
    assert [duration(s) for s in (5, 89, 480, 7800)] == ["5 s", "89 s", "8 min", "2 h 10 min"]
