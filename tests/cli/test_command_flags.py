"""A command that cannot be run, or has no meaning beside other flags, is refused at the start in one line."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.cli import cli
from lossgen.cli.flags import GROUPS
from lossgen.commands import fill, parse_metric, split

Call = Callable[..., tuple[int, str, str]]
GOOD = "sh train.sh {loss_file} {out}"
METRIC = "{out}/m.json:fid"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these commands are run by sh")


@pytest.mark.parametrize("kind", [["evolve"], ["compare", "hinge"]])
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--command", "", "--metric", METRIC], ["--command: missing", "python train.py --loss {loss_file}"]),
        (["--command", GOOD], ["--metric: missing", "{out}/metrics.json:fid"]),
        (["--metric", METRIC], ["--metric", "--command"]),
        (["--runner", "command"], ["--command: missing"]),
        (["--command", "sh 'train.sh {loss_file} {out}", "--metric", METRIC], ["--command", "quotation mark"]),
        (["--command", "sh {lossfile} {out}", "--metric", METRIC], ["{lossfile} is no placeholder", "{loss_file}"]),
        (["--command", "sh train.sh {out}", "--metric", METRIC], ["without {loss_file}"]),
        (["--command", "sh train.sh {loss_file}", "--metric", METRIC], ["without {out}"]),
        (["--command", "nosuchprogram {loss_file} {out}", "--metric", METRIC], ["'nosuchprogram'", "no program"]),
        (["--command", "./train.sh {loss_file} {out}", "--metric", METRIC], ["'./train.sh'", "no program"]),
        (["--command", f"{GOOD} | tee log", "--metric", METRIC], ["'|'", "shell"]),
        (["--command", GOOD, "--metric", "{out}/m.json"], ["--metric '{out}/m.json'", "PATH:KEY"]),
        (["--command", GOOD, "--metric", "{out}/m.json:"], ["PATH:KEY"]),
        (["--command", GOOD, "--metric", "m.json:fid"], ["--metric 'm.json:fid'", "{out}", "at the same time"]),
        (["--command", GOOD, "--metric", "{out}/{seed}.json:fid"], ["no other placeholder"]),
        (["--command", GOOD, "--metric", METRIC, "--runner", "dcgan"], ["leave out --runner dcgan, or --command"]),
        (["--command", GOOD, "--metric", METRIC, "--data", "mnist", "--fit", "crop"], ["leave out --data, --fit"]),
        (["--command", GOOD, "--metric", METRIC, "--steps", "5"], ["--steps", "{steps}"]),
        (["--command", GOOD, "--metric", METRIC, "--retries", "-1"], ["--retries"]),
        (["--command", GOOD, "--metric", METRIC, "--folder", "nowhere"], ["--folder", "nowhere"]),
        (["--command", GOOD, "--metric", METRIC, "--width", "8"], ["--width"]),
        (["--command", GOOD, "--metric", METRIC, "--resume", "run"], ["--resume run", "leave out --command, --metric"]),
    ],
)
def test_commands_that_are_refused(
    call: Call, tmp_path: Path, kind: list[str], flags: list[str], words: list[str]
) -> None:
    (tmp_path / "train.sh").write_text("exit 1\n")
    code, out, err = call(*kind, *flags)
    assert (code, out, err.count("\n")) == (2, "", 1), out + err
    assert err.startswith("error: ")
    for word in words:
        assert word in err
    assert not (tmp_path / "runs").exists()


def test_a_command_that_fails_at_once_leaves_its_log(call: Call, tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text("echo the GPU is tired >&2\nexit 4\n")
    for _ in range(2):  # a folder that holds such logs alone may be used again
        flags = ["--command", f"{GOOD} {{steps}}", "--metric", METRIC, "--workers", "1", "--out", "run"]
        code, out, err = call("compare", "hinge", *flags)
        assert (code, err.count("\n")) == (2, 1), out + err
        assert "exit code 4: the GPU is tired; see run/logs/Hinge-" in err
        (log,) = (tmp_path / "run" / "logs").iterdir()
        assert str(log.relative_to(tmp_path / "run")) in err
        assert "the GPU is tired" in log.read_text()
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["logs"]


def test_help_names_the_flags_of_commands(call: Call) -> None:
    _, out, _ = call("evolve", "--help")
    assert "--command" in out and "--metric" in out and "--retries" not in out and "--width" in out
    _, out, _ = call("evolve", "--command", "x", "--help")
    assert "--retries" in out and "--scale-free" in out and "--width" not in out


@pytest.mark.parametrize(
    ("name", "about"),
    [("evolve", "Search"), ("compare", "Comparison"), ("calibrate", "Calibration"), ("verify", "Ladder")],
)
def test_help_has_every_flag_once_in_its_group(name: str, about: str, call: Call) -> None:
    _, out, _ = call(name, "--help")
    titles = re.findall(r"^(?!Usage)(\S.*):$", out, re.MULTILINE)
    assert titles == ["What is trained", about, "Time and machine", "Files", "Runner dcgan"]
    flags = re.findall(r"^  (?:-h, )?(--[a-z0-9-]+)", out, re.MULTILINE)
    assert len(flags) == len(set(flags))
    command = cli.commands[name]
    command.make_context(name, ["--help"], resilient_parsing=True)
    groups = dict(zip(titles, re.split(r"^(?!Usage)\S.*:$", out, flags=re.MULTILINE)[1:], strict=True))
    assert "  --workers " in groups["Time and machine"] and "  --out " in groups["Files"]
    assert "  --runner " in groups["What is trained"] and "  --width " in groups["Runner dcgan"]
    assert set(flags) == {param.opts[0] for param in command.params if param.opts[0].startswith("--")} | {"--help"}


def test_groups_hold_flags_that_there_are() -> None:
    commands = [cli.commands[name] for name in ("evolve", "compare", "calibrate", "verify")]
    known = {param.name for command in commands for param in command.params} | {"help"}
    assert {name for names in GROUPS.values() for name in names} <= known


def test_commands_are_split_before_they_are_filled_in() -> None:
    values = {"loss_file": "/my GAN/{out}.py", "out": "o'clock"}
    words = split("""python 'a b.py' --loss={loss_file} {out} '{"json": {}}'""", windows=False)
    assert fill(words, values) == ["python", "a b.py", "--loss=/my GAN/{out}.py", "o'clock", '{"json": {}}']
    words = split(r'"C:\Program Files\python.exe" C:\new\train.py {loss_file} --out="{out}"', windows=True)
    assert words == [r"C:\Program Files\python.exe", r"C:\new\train.py", "{loss_file}", "--out={out}"]


def test_metrics_are_read_from_the_right() -> None:
    metric = parse_metric(r"C:\{out}\m.json:a.b:max")
    assert (metric.path, metric.key, metric.direction, metric.name) == (r"C:\{out}\m.json", "a.b", "max", "b")
    assert parse_metric("{out}/m.json:max").direction == "min"
    assert parse_metric("{out}/m.csv:a.b").name == "a.b"
