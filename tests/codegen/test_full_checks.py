"""What `compile --full` checks: the zoo passes, and each check refuses the module that is broken in its way."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossgen.cli import cli
from lossgen.codegen.full_checks import compiler, full_checks
from lossgen.codegen.torch_module import emit_torch
from lossgen.codegen.verify import verify_module
from lossgen.errors import CheckError
from lossgen.language.parser import parse_loss
from lossgen.resources import zoo_dir

ZOO = {path.stem: parse_loss(path.read_text(encoding="utf-8")) for path in sorted(zoo_dir().glob("[!e]*.loss"))}
LINES = [
    "autocast float16: finite, equal",
    "float16 scores: finite, equal",
    "autocast bfloat16: finite, equal",
    "bfloat16 scores: finite, equal",
    "torch.func.vmap, torch.func.grad: equal",
    "torch.export: equal",
]


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossgen.codegen.full_checks.compiler", lambda: None)


def on_cpu(lines: list[str]) -> list[str]:
    return [line for line in lines if "cuda" not in line]


@pytest.mark.parametrize("loss", ZOO.values(), ids=ZOO)
@pytest.mark.usefixtures("no_compiler")
def test_the_zoo_passes(loss: object) -> None:
    lines = on_cpu(list(full_checks(loss, emit_torch(loss))))  # type: ignore[arg-type]
    assert lines == [*LINES, "torch.compile: not checked: no C++ compiler"]


def test_a_loss_that_is_compiled_in_one_graph() -> None:
    if compiler() is None:
        pytest.skip("no C++ compiler")
    *_, last = full_checks(ZOO["hinge"], emit_torch(ZOO["hinge"]))
    assert last == "torch.compile: equal, in one graph"


OVERFLOWS = "(score.unsqueeze(-1) @ score.new_full((1, 1), 1e4)).squeeze(-1) / 1e4"
FAULTS = {
    "autocast float16": (
        f"score = {OVERFLOWS}",
        r"value of real in float32 under cpu autocast float16 at score .* inf",
    ),
    "vmap": ("assert float(score.detach().sum()) > -1e9", "code does not run under torch.func.vmap"),
    "export": (
        "score = score * 1.01 if torch.compiler.is_exporting() else score",
        "value of real in float32 by torch.export at score",
    ),
    "detached under vmap": (
        "score = score.detach() if torch._C._functorch.is_functorch_wrapped_tensor(score) else score",
        "gradient of real in float32 under torch.func.vmap at score",
    ),
}


@pytest.mark.parametrize(("statement", "message"), FAULTS.values(), ids=FAULTS)
@pytest.mark.usefixtures("no_compiler")
def test_each_check_refuses_what_is_broken_in_its_way(statement: str, message: str) -> None:
    loss = ZOO["lsgan"]
    source = emit_torch(loss)
    head = '    """Loss of the discriminator on real images, elementwise."""\n'
    assert source.count(head) == 1
    faulty = source.replace(head, f"{head}    {statement}\n")
    verify_module(loss, faulty)  # plain eager calls see nothing of it
    with pytest.raises(CheckError, match=message):
        list(full_checks(loss, faulty))


@pytest.mark.usefixtures("no_compiler")
def test_half_precision_has_to_be_computed_in_float32() -> None:
    loss = ZOO["bce"]
    source = emit_torch(loss)
    cast = "score = score.float()"
    assert source.count(cast) == 1
    with pytest.raises(CheckError, match=r"loss of float16 scores is torch\.float16, not float32"):
        list(full_checks(loss, source.replace(cast, "score = score * 1.0")))


def test_a_graph_break_is_refused_by_compile_alone() -> None:
    if compiler() is None:
        pytest.skip("no C++ compiler")
    loss = ZOO["lsgan"]
    head = '    """Loss of the discriminator on real images, elementwise."""\n'
    faulty = emit_torch(loss).replace(head, f"{head}    torch._dynamo.graph_break()\n")
    checks = full_checks(loss, faulty)
    with pytest.raises(CheckError, match=r"code does not pass torch\.compile: "):
        list(checks)


def test_a_compiler_that_does_not_work_is_no_fault_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("no such file: Python.h")

    monkeypatch.setattr("lossgen.codegen.full_checks.compiler", lambda: "/usr/bin/g++")
    monkeypatch.setattr("torch.compile", broken)
    *_, last = full_checks(ZOO["wasserstein"], emit_torch(ZOO["wasserstein"]))
    assert last == "torch.compile: not checked: /usr/bin/g++ does not compile what torch writes"


def test_the_compiler_is_the_one_that_torch_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert compiler() is None
    monkeypatch.setenv("CXX", sys.executable)
    assert compiler() == sys.executable


@pytest.mark.usefixtures("no_compiler")
def test_compile_full_prints_a_line_a_check_and_writes_no_file_that_fails(tmp_path: Path) -> None:
    written = tmp_path / "written.py"
    good = CliRunner().invoke(cli, ["compile", "lsgan", "--full", "-o", str(written)])
    assert good.exit_code == 0
    assert on_cpu(good.stdout.splitlines())[:-2] == [f"LSGAN: {line}" for line in LINES]
    assert written.is_file()
    steep = tmp_path / "steep.py"  # at score -30 its gradient is 0.7 e^21, which float16 does not hold
    bad = CliRunner().invoke(cli, ["compile", "exp(-0.7 * score) * y_real + y_pred", "--full", "-o", str(steep)])
    assert isinstance(bad.exception, CheckError)
    assert "gradient of real in float32 from float16 scores at score -30 is -inf" in str(bad.exception)
    assert not steep.exists()
    plain = CliRunner().invoke(cli, ["compile", "exp(-0.7 * score) * y_real + y_pred", "-o", str(steep)])
    assert plain.exit_code == 0


def test_full_belongs_to_pytorch_files_that_are_written() -> None:
    for more in (["--check"], ["--target", "numpy"]):
        found = CliRunner().invoke(cli, ["compile", "bce", "--full", *more])
        assert "--full checks PyTorch files that are written" in str(found.exception)
