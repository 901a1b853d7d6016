r"""One's own training command as a benchmark for losses; the training need not know lossgen, nor be in Python.

    lossgen evolve --command 'python train.py --loss {loss_file} --seed {seed} --steps {steps} --out {out}' \
        --metric '{out}/metrics.json:fid'

The command runs once a training, in the folder where lossgen was started. It is split into arguments as a POSIX shell
does it (on Windows at spaces outside quotation marks), then the placeholders are filled in, so that paths may hold
spaces. No shell runs: pipes, variables and wildcards belong in a script. The placeholders:

    {loss_file}  the emitted module of the loss, a Python file that imports nothing but torch
    {name}       the name of the class in it
    {seed}       0 to 2^31 - 1: of `numpy.random.SeedSequence(member.seed)` the first 32 bits without the last
    {steps}      how long to train; a command that leaves it out is taken to train always as long
    {out}        an empty folder to write to
    {resume}     the {out} of an earlier, shorter training of the same loss and seed, to go on from; empty if there is
                 none. {steps} counts from the very beginning

The metric is `PATH:KEY`, minimised, or `PATH:KEY:max`: of a JSON file the number at KEY (`scores.fid` looks inside
`scores`), of a .csv file the last row's column KEY. PATH holds {out}. A result that is not finite means that the
training diverged.

A command that ends with another exit code than 0 is tried again (`--retries`), then counts as crashed. Its output is
kept in a log, which the reason names. Each training has one thread's worth of a machine: OMP_NUM_THREADS and its like
are 1; CUDA_VISIBLE_DEVICES is empty, and with --device cuda one GPU. LOSSGEN_WORKER is the number of the worker.
When lossgen ends, is killed, or gives the training up (--timeout), the command is killed with all it has started.
"""

import contextlib
import dataclasses
import hashlib
import math
import os
import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lossgen.commands import fill, has, parse_metric, split
from lossgen.devices import gpus
from lossgen.errors import InputError
from lossgen.guarded import NOT_STARTED, SIGNALLED, run_guarded
from lossgen.runner import Budget, DataSpec, Direction, Member, Outcome, Preparation

LARGEST_SCRIPT = 1 << 20
"""Bytes of a file in the command that is still taken for a script or a setting, and so hashed."""


class Options(BaseModel):
    """The command and its metric. On the command line each is a flag: scale_free is --scale-free."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = Field("", description="what trains a GAN once")
    metric: str = Field("", description="where it writes its result: PATH:KEY or PATH:KEY:max")
    retries: int = Field(1, ge=0, le=100, description="times that a crashed command is tried again")
    scale_free: bool = Field(
        False, description="a positive factor on the loss changes nothing (Adam, and no other term beside it)"
    )
    folder: str = Field(default_factory=lambda: str(Path.cwd()), description="where the command is run")

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: str) -> str:
        return str(Path(folder).absolute())

    @model_validator(mode="after")
    def _can_be_run(self) -> "Options":
        program = split(self.command)[0]
        if not self.metric:
            raise InputError("--metric: missing; say where the command writes, for example '{out}/metrics.json:fid'")
        parse_metric(self.metric)
        if not Path(self.folder).is_dir():
            raise InputError(f"--folder {self.folder}: is not there; the command is run in it")
        if shutil.which(str(Path(self.folder, program)) if Path(program).parent != Path() else program) is None:
            raise InputError(f"--command: {program!r} is no program that can be found and run from {self.folder}")
        return self


class Command:
    """Fitness: the number that a command writes."""

    options = Options
    objectives: Mapping[str, Direction] = {}  # known with the options
    scale_free = False

    def __init__(self, options: BaseModel) -> None:
        self.chosen = Options.model_validate(options.model_dump())
        self.words = split(self.chosen.command)
        self.metric = parse_metric(self.chosen.metric)
        self.objectives = {self.metric.name: self.metric.direction}
        self.scale_free = self.chosen.scale_free
        self.env: dict[str, str] = {"PYTHONUNBUFFERED": "1"}  # so that an error is the last line of the log

    @property
    def counts_steps(self) -> bool:
        """Whether the command is told how long to train."""
        return has(self.words, "steps")

    def prepare(self, data: DataSpec, device: str) -> Preparation:
        """Choose this worker's GPU. The data are the command's own business."""
        notes = []
        if device == "cpu":
            self.env["CUDA_VISIBLE_DEVICES"] = ""
            if gpus():
                notes.append("the command is run without this machine's GPUs; --device cuda gives each training one")
        elif re.fullmatch(r"cuda(:\d+)?", device):
            number = int(device.partition(":")[2] or os.environ.get("LOSSGEN_WORKER", "0"))
            found = gpus()
            if not found or (":" in device and number >= len(found)):
                raise InputError(f"device {device!r} is not available here: PyTorch finds {len(found)} GPUs; use cpu")
            self.env["CUDA_VISIBLE_DEVICES"] = found[number % len(found)]
        elif device != "mps":
            raise InputError(f"device {device!r} is none that a command can be given: use cpu, or cuda")
        if not has(self.words, "seed"):
            notes.append("the command has no {seed}: it cannot be told to repeat a training, so neither can lossgen")
        protocol = {
            "command": self.chosen.command, "metric": self.chosen.metric, "files": self._files(),
            "setting": self.chosen.command,
        }  # fmt: skip
        return Preparation(protocol, notes)

    def _files(self) -> dict[str, str]:
        """SHA-256 of the scripts that the command names, so that a run does not go on with a changed one."""
        found = {}
        for word in self.words:
            path = Path(self.chosen.folder, word)
            with contextlib.suppress(OSError, ValueError):  # ValueError: no path at all
                if path.is_file() and path.stat().st_size <= LARGEST_SCRIPT:
                    content = path.read_bytes()
                    if word != self.words[0] or content.startswith(b"#!"):  # an interpreter is not a script
                        found[word] = hashlib.sha256(content).hexdigest()
        return found

    def train(self, members: Sequence[Member], budget: Budget) -> list[Outcome]:
        """Run the command for each member."""
        return [self._train(member, budget) for member in members]

    def _train(self, member: Member, budget: Budget) -> Outcome:
        if member.condition:
            raise InputError(f"a command has no setting that could be changed, but got {dict(member.condition)}")
        if member.state_only and not has(self.words, "resume"):
            member = dataclasses.replace(member, keep=None)  # nothing could be continued from what it leaves
        scratch = None if member.keep else Path(tempfile.mkdtemp(prefix="lossgen-"))
        folder = (member.keep or scratch or Path()).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            log, shown = _log(member)
            ending, out = "", folder
            for _ in range(1 + self.chosen.retries):
                ending, out = self._run(member, budget.steps, folder, log, scratch)
                if not ending:
                    break
            if ending:
                return Outcome("crashed", reason=f"{ending}; see {shown}")
            try:
                value = self.metric.read(Path(self.chosen.folder, *fill([self.metric.path], {"out": out})))
            except ValueError as error:
                return Outcome("crashed", reason=f"{error}; see {shown}")
        finally:
            if scratch:
                shutil.rmtree(scratch, ignore_errors=True)
        if not math.isfinite(value):
            return Outcome("diverged", reason=f"{self.metric.key} is {value}; see {shown}", step=budget.steps)
        if not member.keep:
            log.unlink(missing_ok=True)
        files = {"state": out} if member.keep and has(self.words, "resume") else {}
        return Outcome("ok", {self.metric.name: value}, step=budget.steps, files=files)

    def _run(self, member: Member, steps: int, folder: Path, log: Path, scratch: Path | None) -> tuple[str, Path]:
        """Run the command once: how it failed, "" if it did not, and the folder that it wrote to."""
        loss_file = folder / f"{member.name}.py"
        loss_file.write_bytes(member.source.encode())
        out = _fresh(folder)
        seed = int(np.random.SeedSequence(member.seed).generate_state(1)[0] >> 1)
        filled = {"loss_file": loss_file, "name": member.name, "seed": seed, "steps": steps, "out": out}
        filled["resume"] = member.state.absolute() if member.state else ""
        command = fill(self.words, filled)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {shlex.join(command)}\n")
        began = log.stat().st_size
        code = run_guarded(command, Path(self.chosen.folder), {**os.environ, **self.env}, log, scratch)
        if code == 0:
            return "", out
        last = _last_line(log, began)
        for name in ("out", "loss_file"):  # paths of this one training have no place in a run's record
            last = last.replace(str(filled[name]), f"{{{name}}}")
        return _how(code) + (f": {last}" if last else ""), out


def _fresh(folder: Path) -> Path:
    """A new folder in a folder; what an earlier attempt has left there stays."""
    number, out = 1, folder / "out"
    while out.exists():
        number += 1
        out = folder / f"out-{number}"
    out.mkdir()
    return out


def _log(member: Member) -> tuple[Path, str]:
    """The log of a training, and how to call it: by its place in the run's folder, where there is one."""
    if keep := member.keep:
        return keep / "log.txt", f"{keep.parent.name}/{keep.name}/log.txt"
    name = f"{member.name}-{'.'.join(map(str, member.seed))}.log"
    logs = os.environ.get("LOSSGEN_LOGS")
    path = Path(logs or tempfile.gettempdir(), name)
    return path, f"{path.parent.name}/{name}" if logs else str(path)


def _last_line(log: Path, began: int) -> str:
    """What a command said last, without colours."""
    with log.open("rb") as file:
        file.seek(max(began, log.stat().st_size - 8192))
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.read().decode("utf-8", errors="replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[-1])[:200] if lines else ""


def _how(code: int) -> str:
    if code == NOT_STARTED:
        return "it does not start"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(code - SIGNALLED).name}"
    return f"exit code {code}"
