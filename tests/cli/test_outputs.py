"""What compile and inspect refuse to write, before anything is computed, and what they warn of."""

from collections.abc import Callable
from pathlib import Path

import pytest

import lossgen.codegen.targets

Call = Callable[..., tuple[int, str, str]]
HINGE = "loss Wrong(score):\n  real: relu(1 + score)\n  fake: relu(1 - score)\n  generator: -score\n"


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("own.loss", "would be written over"),
        ("./own.loss", "would be written over"),
        ("link.py", "would be written over"),
        ("new.loss", "the suffix of sources"),
        ("own.txt", "does not end in .py"),
        ("own", "does not end in .py"),
        ("found/", "is a folder"),
        ("folder", "is a folder"),
        ("", "is a folder"),
        ("nowhere/deep/own.py", "the folder nowhere/deep does not exist"),
        ("own.loss/own.py", "the folder own.loss is not a folder"),
    ],
)
@pytest.mark.parametrize("target", ["torch", "numpy"])
def test_an_output_that_would_destroy_or_mislead_is_refused_before_the_proof(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, word: str, target: str
) -> None:
    monkeypatch.setattr(
        lossgen.codegen.targets, "verify", lambda *_: pytest.fail("proven before the output is looked at")
    )
    (tmp_path / "own.loss").write_text(HINGE)
    (tmp_path / "link.py").symlink_to("own.loss")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call("compile", "own.loss", "-o", output, "--target", target)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"-o {output}: " in err and word in err
    assert (tmp_path / "own.loss").read_text() == HINGE
    assert sorted(tmp_path.rglob("*")) == before


def test_a_python_file_is_not_written_over_by_its_own_emission(call: Call, tmp_path: Path) -> None:
    assert call("compile", "hinge", "-o", "h.py")[0] == 0
    code, _, err = call("compile", "h.py", "-o", "h.py")
    assert code == 2
    assert "would be written over" in err


@pytest.mark.parametrize("flag", ["--plot", "--tree"])
def test_a_picture_in_no_folder_is_refused_before_anything_is_shown(call: Call, flag: str) -> None:
    code, out, err = call("inspect", "hinge", flag, "nowhere/h.png")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{flag} nowhere/h.png: the folder nowhere does not exist" in err


def test_a_loss_that_the_screen_rejects_is_emitted_with_a_warning(call: Call, tmp_path: Path) -> None:
    (tmp_path / "wrong.loss").write_text(HINGE)
    code, out, err = call("compile", "wrong.loss")
    assert (code, out.count("\n"), err.count("\n")) == (0, 1, 1)
    assert err.startswith("warning: Wrong: settles the wrong way: ")
    assert err.endswith("; it is emitted all the same\n")
    assert call("compile", "hinge")[2] == ""


def test_check_tells_what_is_missing_from_what_is_old(call: Call, tmp_path: Path) -> None:
    for name in ("missing", "old"):
        (tmp_path / f"{name}.loss").write_text(HINGE)
    (tmp_path / "old.py").write_text("")
    code, _, err = call("compile", "--check", "missing.loss", "old.loss")
    assert (code, err) == (
        1,
        "error: missing: missing.py; not up to date: old.py; run `lossgen compile` on the sources\n",
    )


def test_names_and_paths_that_are_none(call: Call, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "did you mean hinge?" in call("inspect", "Hinge")[2]
    assert "did you mean lsgan?" in call("inspect", "lsgn")[2]
    assert "folder: is a folder" in call("inspect", "folder")[2]
    for text in ("../err", "./err", "/err", "folder/err"):
        assert call("compile", text) == (2, "", f"error: loss {text}: no such file\n")
    assert "unknown variable 'y_prd'" in call("compile", "y_prd/score")[2]
    assert "not both" in call("inspect", "hinge", "--json", "--mathml")[2]


def test_a_constant_that_cannot_be_is_shown_with_its_file_and_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "own.loss").write_text("# Mine.\nconst a = 1\n\nconst torch = 2\na * torch * square(score - y_real)\n")
    code, _, err = call("inspect", "own.loss")
    assert code == 2
    assert err.startswith("error: loss own.loss, line 4: constant 'torch': ")


def test_the_hint_about_a_minus_shows_ones_own_expression_where_it_helps(call: Call) -> None:
    _, _, err = call("inspect", "-y_real * log(y_pred)")
    assert "lossgen inspect -- '-y_real * log(y_pred)'" in err
    for args in (["inspect"], ["inspect", "--nothing"], ["compile", "--target", "none"]):
        code, _, err = call(*args)
        assert code == 2
        assert "minus" not in err


def test_a_file_that_lossgen_did_not_write_is_not_replaced(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.loss").write_text("loss Mine(score, y_real) = square(score - y_real)\n")
    (tmp_path / "mine.py").write_text("print('by hand')\n")
    for more in ([], ["-o", "mine.py"]):
        code, _, err = call("compile", "mine.loss", *more)
        assert code == 2
        assert "mine.py: exists, and lossgen did not write it" in err
    assert (tmp_path / "mine.py").read_text() == "print('by hand')\n"
    (tmp_path / "mine.py").unlink()
    assert call("compile", "mine.loss")[0] == 0
    assert call("compile", "mine.loss")[0] == 0  # its own file is
