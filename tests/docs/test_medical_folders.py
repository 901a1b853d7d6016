"""The conversion of medical data sets, on made-up files in their layouts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossgen.gan.folders import read_folder

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "medical_folders.py"


def convert(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


def draw(path: Path, width: int = 8, height: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_brecahad_is_cut(tmp_path: Path) -> None:
    for name in ("Case_1-01.tif", "Case_2-01.tif"):
        draw(tmp_path / "images" / name, 1360, 1024)
    ran = convert("brecahad", str(tmp_path / "images"), str(tmp_path / "out"))
    assert ran.stdout.startswith("images 24 in "), ran.stderr
    data = read_folder(tmp_path / "out", "histology")
    assert not data.classes and len(data.splits["train"].images) == 24
    with Image.open(tmp_path / "images" / "Case_1-01.tif") as whole, Image.open(
        tmp_path / "out" / "Case_1-01-512-768.png"
    ) as piece:  # fmt: skip
        assert np.array_equal(np.asarray(piece), np.asarray(whole)[512:1024, 768:1280])


@pytest.mark.parametrize(
    ("name", "files", "classes"),
    [
        (
            "hyper-kvasir",
            [
                "lower-gi-tract/anatomical-landmarks/cecum/a.jpg", "lower-gi-tract/anatomical-landmarks/ileum/a.jpg",
                "lower-gi-tract/quality-of-mucosal-views/bbps-2-3/b.jpg",
                "lower-gi-tract/pathological-findings/polyps/c.jpg",
                "lower-gi-tract/pathological-findings/hemorrhoids/d.jpg",
                "upper-gi-tract/anatomical-landmarks/z-line/e.jpg",
            ],
            {"normal": 3, "polyps": 1},
        ),
        (
            "lag",
            [
                "non_glaucoma/image/1.jpg", "non_glaucoma/attention_map/1.jpg", "suspicious_glaucoma/image/1.jpg",
                "suspicious_glaucoma/image/2.jpg",
            ],
            {"normal": 1, "glaucoma": 2},
        ),
    ],
)  # fmt: skip
def test_folders_a_class(tmp_path: Path, name: str, files: list[str], classes: dict[str, int]) -> None:
    for file in files:
        draw(tmp_path / "source" / file)
    ran = convert(name, str(tmp_path / "source"), str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    data = read_folder(tmp_path / "out", name)
    labels = data.splits["train"].labels
    assert labels is not None
    assert {kind: int((labels == i).sum()) for i, kind in enumerate(data.classes)} == classes
    again = convert(name, str(tmp_path / "source"), str(tmp_path / "out"))
    assert again.returncode == 2 and "is not empty" in again.stderr


def test_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.tif").write_bytes(b"nonsense")
    (tmp_path / "file").write_bytes(b"x")
    for source, target in ((tmp_path / "images", tmp_path / "out"), (tmp_path, tmp_path / "file")):
        ran = convert("brecahad", str(source), str(target))
        assert ran.returncode == 2 and "Traceback" not in ran.stderr and len(ran.stderr.splitlines()) == 1
    for arguments, problem in (
        (("cifar", "a", "b"), "usage: medical_folders.py {brecahad|hyper-kvasir|lag} SOURCE FOLDER"),
        (
            ("lag", str(tmp_path), str(tmp_path / "out")),
            "holds nothing of the layout of lag: Fundus images, `<class>/image",
        ),
    ):
        ran = convert(*arguments)
        assert ran.returncode == 2 and problem in ran.stderr and "Traceback" not in ran.stderr
