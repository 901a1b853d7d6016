"""The LOSS argument: what it may be, what is refused, and that nothing is run to find out."""

import contextlib
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lossgen.codegen.load import MAX_FILE, load_argument, load_source, read_emitted, zoo_names
from lossgen.codegen.torch_module import MARKER, body_of, emit_torch
from lossgen.errors import InputError
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

LOSS = parse_loss("# A note.\nloss Mine(y_real, y_pred) = square(y_pred - y_real)")
SOURCE = emit_torch(LOSS)


def refused(text: str, said: str, trust: bool = False) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_argument(text, trust)
    lines = str(caught.value).split("\n")
    assert lines[0].startswith(("loss", f"{text}, line ", f"{text}: "))
    assert len(lines) in (1, 4)  # one line, or with the text's line, a caret and what was expected


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def to(content: str | bytes, name: str = "mine.py") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return to


def test_a_path_a_zoo_name_or_an_expression(write) -> None:  # type: ignore[no-untyped-def]
    assert load_argument("bce").source == (zoo_dir() / "bce.py").read_text(encoding="utf-8")
    assert load_argument("bce").name == "BCE"
    assert load_argument(str(zoo_dir() / "ganetic.loss")).loss == load_argument("ganetic").loss
    assert load_argument(str(zoo_dir() / "ganetic.py")).source == load_argument("ganetic").source
    from_file = load_argument(write(SOURCE))
    assert (from_file.loss, from_file.loss.note, from_file.source) == (LOSS, "A note.", SOURCE)
    found = load_argument("square(y_pred - y_real)")
    assert (found.name, found.loss.label) == ("Loss", LOSS.label)
    assert load_argument("loss Mine(y_real, y_pred) =\n square(y_pred - y_real)").loss == LOSS
    assert load_argument(write("score", "named.loss")).name == "Loss"
    assert load_argument(write(SOURCE.replace("\n", "\r\n"))).loss == LOSS  # a file that has been through Windows


def test_a_file_comes_before_a_zoo_name(write, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(Path(write("score", "bce")).parent)
    assert load_argument("bce").loss.label == parse_loss("score").label
    assert load_argument("hinge").name == "Hinge"


@pytest.mark.parametrize("name", zoo_names())
def test_every_zoo_name_is_found(name: str) -> None:
    assert load_argument(name).source == (zoo_dir() / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.loss", "nowhere.loss: no such file"),
        ("nowhere/at_all.py", "no such file"),
        ("x" * 300 + ".py", "no such file"),
        ("nosuchloss", r"nosuchloss: not a file, not in the zoo \(bce, .*wasserstein\)"),
        ("x" * 300, "not in the zoo"),
        ("", "empty text"),
        ("y_pred +", "the text ends too early"),
        ("a\0b", "unknown variable 'a'|unexpected"),
        ("\ud800", "unexpected character"),
        ("score # " + "x" * 70_000, "at most 64 KiB"),
    ],
)
def test_what_is_none_of_them(text: str, said: str) -> None:
    refused(text, said)


def test_long_expressions_are_no_paths() -> None:
    for terms in (20, 60, 99):
        text = " + ".join(["y_pred"] * terms)
        assert load_argument(text).loss.size == 2 * terms - 1


@given(st.text(max_size=400))
def test_any_text_is_a_loss_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        load_argument(text)


def test_files_that_hold_no_loss(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    refused(write(b"\xff\xfe\x00", "binary.loss"), "not a text file in UTF-8")
    refused(write(b"\x00\xff", "binary.py"), "not a text file in UTF-8")
    refused(write("a\0b"), "not a Python file")
    refused(write("def f(:\n"), "not a Python file")
    refused(write("(" * 5000), "not a Python file")
    refused(write("import os\n"), "holds no loss")
    refused(write('"""A docstring of another kind."""\n'), "holds no loss")
    refused(write(f'"""{MARKER}\n\n    loss A(y_pred) = \n"""\n'), "the text ends too early")
    refused(write(f'"""{MARKER}\n\nscore\n"""\n'), "empty text")
    refused(write("", "empty.loss"), "empty text")
    refused(write(" " * (MAX_FILE + 1), "large.loss"), "larger than 256 KiB")
    (tmp_path / "folder.py").mkdir()
    refused(str(tmp_path / "folder.py"), "is a folder")
    (tmp_path / "broken.py").symlink_to(tmp_path / "nowhere")
    refused(str(tmp_path / "broken.py"), "no such file")
    (tmp_path / "loop.loss").symlink_to(tmp_path / "loop.loss")
    refused(str(tmp_path / "loop.loss"), "no such file")


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="this user may read everything")
def test_a_file_that_may_not_be_read(write) -> None:  # type: ignore[no-untyped-def]
    path = write("score", "locked.loss")
    Path(path).chmod(0)
    refused(path, "cannot be read")


MARK = "open(MARK, 'w').close()"
DOCSTRING, BODY = SOURCE.split('"""', 2)[1:]
CLASS = "class Mine(nn.Module):"
ATTACKS = {
    "appended": SOURCE + f"\n{MARK}\n",
    "inserted": SOURCE.replace("\nimport torch\n", f"\nimport torch\n{MARK}\n", 1),
    "in a function": SOURCE.replace("    y_pred = ", f"    {MARK}\n    y_pred = ", 1),
    "in the class": SOURCE.replace(CLASS, f"{CLASS}\n    {MARK}", 1),
    "as a default": SOURCE.replace("def real(score: Tensor)", f"def real(score: Tensor = {MARK})", 1),
    "after the docstring, same line": SOURCE.replace('\n"""\n', f'\n"""; {MARK}\n', 1),
    "before a second docstring": SOURCE.replace('\n"""\n', f'\n"""\n{MARK}\n"""x"""\n', 1),
    # A docstring in other quotes: the first triple quotes come later, and what stands before them must not be missed.
    "docstring in single quotes": f'{DOCSTRING!r}\n{MARK}\n"""x"""\n{BODY}',
    "docstring in other quotes": f"r'''{DOCSTRING}'''\n{MARK}\n" + '"""x"""\n' + BODY,
    "form feed": SOURCE.replace('\n"""\n', f'\n"""\n\x0c{MARK}\n', 1),
    "old Mac newline": SOURCE.replace('\n"""\n', f'\n"""\r{MARK}\n', 1),
    "coding line": "# -*- coding: utf-7 -*-\n" + SOURCE + f"\n#\n{MARK}",
    "formula": SOURCE.replace("torch.square(", "torch.abs(", 1),
    "another loss": SOURCE.replace("square(y_pred - y_real)", "abs(y_pred - y_real)", 1),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_changed_body_is_refused_and_never_run(attack: str, write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mark = tmp_path / "was-run"
    text = ATTACKS[attack].replace("MARK", repr(str(mark)))
    assert text != SOURCE
    path = write(text)
    refused(path, "differs from what its docstring's loss is emitted as, so it is not run; pass --trust")
    assert not mark.exists()
    trusted = load_argument(path, trust=True)
    assert not mark.exists()
    assert trusted.source == Path(path).read_text(encoding="utf-8")


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """Each would run its code if it were let in."""
    for number, (attack, text) in enumerate(ATTACKS.items()):
        if "MARK" in text:
            mark = tmp_path / str(number)
            criterion = load_source(text.replace("MARK", repr(str(mark))))
            criterion.discriminator_loss(torch.zeros(2), torch.zeros(2))
            assert mark.exists(), attack


def test_a_changed_docstring_alone_is_no_other_body(write) -> None:  # type: ignore[no-untyped-def]
    text = SOURCE.replace("A note.", "Tried on MNIST: works.")
    assert load_argument(write(text)).loss.note == "Tried on MNIST: works."
    assert load_argument(write("# a comment\n\n" + SOURCE + "\n\n")).loss == LOSS


def test_body_of() -> None:
    assert body_of(SOURCE).startswith("import warnings\n\nimport torch\n")
    assert body_of("x = 1") == "x = 1"
    assert body_of('"""é""" ; x = 1') == "; x = 1"
    assert body_of("'a'\r\nx = 1\r\n") == "x = 1"
    assert body_of("") == ""
    with pytest.raises(SyntaxError):
        body_of("def")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1", "defines 0 nn.Module classes"),
        ("from torch.nn import Module", "defines 0 nn.Module classes"),
        (SOURCE + SOURCE.replace("class Mine", "class Other"), "defines 2 nn.Module classes"),
        ("1 / 0", "does not run: ZeroDivisionError"),
        ("def (", "does not run: SyntaxError"),
        ("a\0", "does not run"),
        (SOURCE.replace('reduction: str = "mean"', "reduction"), "cannot be built with its defaults: TypeError"),
    ],
)
def test_source_that_is_no_module(source: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_source(source)


def test_read_emitted_keeps_the_form() -> None:
    role = parse_loss("loss R(score):\n real: -score\n fake: score\n generator: -score")
    assert read_emitted(emit_torch(role), "there") == role
