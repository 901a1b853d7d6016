"""A study: every arm on every split, each with a GAN and classifiers of its own, in processes side by side.

A job is the plain arms of a run, or one loss in a run. What a job has found is written to a file that is named by all
that it depends on: the same study in the same folder goes on where it was.
"""

import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from lossgen.devices import gpus
from lossgen.errors import InputError
from lossgen.gan.criteria import is_out_of_memory
from lossgen.gan.downstream.answers import Answers
from lossgen.gan.downstream.arms import PLAIN, SYNTHETIC, Arm, train_arm
from lossgen.gan.downstream.classifiers import Recipe, log_probabilities
from lossgen.gan.downstream.folds import Splits, patients_of
from lossgen.gan.downstream.synthesis import Made, Synthesis
from lossgen.gan.files import replacing
from lossgen.gan.setting import Setting
from lossgen.gan.training import TrainingError
from lossgen.runner import Budget, Member

Logs: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Log-probabilities of validation and of test images, (N, K) each."""
VERSION = 2
"""To be raised when what a job computes changes in a way that its parts do not say."""
SHOWN = 16
"""Generated images a class that a job keeps."""


@dataclass(frozen=True)
class Job:
    """The plain arms of a run, or one loss in it.

    Attributes:
        run: its number.
        synthesis: the run's data, and how GANs are trained on them.
        recipe: of the classifiers.
        seed: of GANs and classifiers.
        member: the loss; None for the plain arms.
        setting: of the GANs.
        steps: of the GANs.
    """

    run: int
    synthesis: Synthesis
    recipe: Recipe
    seed: tuple[int, ...]
    member: Member | None = None
    setting: Setting | None = None
    steps: int = 0

    @property
    def arms(self) -> Sequence[Arm]:
        return PLAIN if self.member is None else SYNTHETIC

    def name(self, arm: Arm) -> str:
        """What an arm of this job is called."""
        return arm.name if self.member is None else arm.name.replace("synthetic", _by(self.member.name), 1)

    @property
    def title(self) -> str:
        return f"run {self.run + 1}, " + ("without a GAN" if self.member is None else self.member.name)

    @property
    def key(self) -> str:
        """Hash of all that the job's result depends on."""
        gans = None
        if self.member is not None and self.setting is not None:
            gans = [self.member.source, asdict(self.setting), self.steps]
        data = self.synthesis.data.digest
        kind = self.synthesis.device.partition(":")[0]
        parts = [VERSION, data, self.synthesis.ratio, self.recipe.identity, list(self.seed), gans, kind]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Found:
    """What a job has found.

    Attributes:
        tested: by arm; empty where a training has failed.
        failure: why, in a line.
        notes: what went wrong in an arm, in lines.
        samples: generated images by class, the first few.
        fitted: accuracy on the real training images, by arm.
        seconds: it took.
    """

    tested: Mapping[str, Logs]
    failure: str = ""
    samples: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    fitted: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Study:
    """All that was found.

    Attributes:
        splits: the runs' data.
        runs: by run and arm.
        plain, synthetic: names of the arms without and with GANs.
        failures: what failed, in lines.
        samples: by loss and class, generated images of the first run.
        fitted: accuracies on real training images, by arm.
    """

    splits: Splits
    runs: Sequence[Mapping[str, Answers]]
    plain: Sequence[str]
    synthetic: Sequence[str]
    failures: Sequence[str]
    samples: Mapping[str, Mapping[int, NDArray[np.uint8]]]
    fitted: Mapping[str, Sequence[float]]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.splits.runs[0].classes


def _by(loss: str) -> str:
    return f"synthetic by {loss}"


def made_by(arm: str, loss: str) -> bool:
    """Whether an arm of this name is one with images by this loss."""
    return arm in {each.name.replace("synthetic", _by(loss), 1) for each in SYNTHETIC}


def carry_out(
    splits: Splits,
    jobs: Sequence[Job],
    folder: Path,
    workers: int = 1,
    said: Callable[[int, Job, Found], None] = lambda done, job, found: None,
    go_on: Callable[[], bool] = lambda: True,
) -> Study:
    """Do what of the jobs is not done yet, and put all together.

    Args:
        folder: where results are kept, a file a job.
        workers: processes; 1 does all of it in this one.
        said: called with the number of jobs done, the one that has just been done, and what it has found.
        go_on: asked before each job; where it says no, the runs that are whole make up the study.

    Raises:
        InputError: fewer than two runs are whole.
    """
    results: dict[str, Found] = {}
    waiting = []
    for job in jobs:
        known = _read(folder / f"{job.key}.npz", job)
        if known is None:
            waiting.append(job)
        else:
            results[job.key] = known
    for job, found in _done(waiting, workers, go_on):
        _write(folder / f"{job.key}.npz", job, found)
        results[job.key] = found
        said(len(results), job, found)
    return _together(*_whole(splits, jobs, results), results)


def do(job: Job) -> Found:
    """Train what a job asks for, and ask it about the images of validation and test."""
    started = time.perf_counter()
    made: Made = {}
    if job.member is not None and job.setting is not None:
        outcome, made = job.synthesis.make(job.member, job.setting, Budget(job.steps))
        if outcome.status != "ok":
            failure = f"{outcome.status} at step {outcome.step}: {outcome.reason}"
            return Found({}, failure, seconds=time.perf_counter() - started)
    try:
        tested, fitted, notes = _classified(job, made)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise InputError(
                f"{job.title}: the memory is full; give fewer --workers: the same command goes on with what is left"
            ) from None
        raise
    samples = {label: each[:SHOWN].cpu().numpy() for label, each in made.items()}
    return Found(tested, "", samples, fitted, time.perf_counter() - started, notes)


def _classified(job: Job, made: Made) -> tuple[dict[str, Logs], dict[str, float], list[str]]:
    """What the classifiers of a job's arms say of validation and test, and their accuracy on real training images."""
    data, device = job.synthesis.data, job.synthesis.device
    # Processes are handed arrays that cannot be written to, which PyTorch does not like.
    images = torch.from_numpy(np.array(data.train.images)).to(device)
    labels = torch.from_numpy(np.array(data.train.known_labels)).to(device)
    asked = [torch.from_numpy(np.array(split.images)).to(device) for split in (data.validation, data.test)]
    tested: dict[str, Logs] = {}
    fitted: dict[str, float] = {}
    notes: list[str] = []
    for arm in job.arms:
        ratio = job.synthesis.ratio
        net = train_arm(arm, job.recipe, images, labels, len(data.classes), ratio, job.seed, made)
        try:
            tested[arm.name] = log_probabilities(net, asked[0]), log_probabilities(net, asked[1])
            fitted[arm.name] = float((log_probabilities(net, images).argmax(1) == labels.cpu().numpy()).mean())
        except TrainingError as error:
            notes.append(f"{job.title}, {arm.name}: {error.reason}; it counts as one that knows nothing")
            even = np.full((1, len(data.classes)), -np.log(len(data.classes)), np.float32)
            tested[arm.name] = np.repeat(even, len(asked[0]), 0), np.repeat(even, len(asked[1]), 0)
            fitted[arm.name] = float(1 / len(data.classes))
    return tested, fitted, notes


def _done(jobs: Sequence[Job], workers: int, go_on: Callable[[], bool]) -> Iterator[tuple[Job, Found]]:
    """Jobs as they are done."""
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            if go_on():
                yield job, do(job)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    cards = len(gpus()) if jobs[0].synthesis.device == "cuda" else 0
    one = joblib.delayed(_numbered)
    # Few are handed out ahead: of those, up to one a process may still begin when `go_on` says no to the next.
    try:
        with joblib.Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch=workers) as parallel:
            for number, found in parallel(one(i, _on_card(job, i, cards)) for i, job in enumerate(jobs) if go_on()):
                yield jobs[number], found
    except TerminatedWorkerError:
        raise InputError(
            "a worker process was killed, as happens where the memory is full; give fewer --workers: the same command "
            "goes on with what is left"
        ) from None


def _on_card(job: Job, number: int, cards: int) -> Job:
    """The job on one of several GPUs, in turn."""
    if cards < 2:
        return job
    return replace(job, synthesis=replace(job.synthesis, device=f"cuda:{number % cards}"))


def _numbered(number: int, job: Job) -> tuple[int, Found]:
    return number, do(job)


def _whole(splits: Splits, jobs: Sequence[Job], results: Mapping[str, Found]) -> tuple[Splits, Sequence[Job]]:
    """What is left of a study without the runs that lack a job."""
    lacking = {job.run for job in jobs if job.key not in results}
    if not lacking:
        return splits, jobs
    kept = [number for number in range(len(splits.runs)) if number not in lacking]
    if len(kept) < 2:
        done = (
            f"{len(results)} of {len(jobs)} trainings were done in the time, and {len(kept)} of {len(splits.runs)} runs"
        )
        raise InputError(f"{done}; the same command goes on with them")
    runs = [splits.runs[number] for number in kept]
    tested = np.sum([np.bincount(run.test.known_labels, minlength=len(run.classes)) for run in runs], axis=0)
    counts = splits.test_counts if splits.fixed_test else np.minimum(tested, splits.test_counts).tolist()
    patients = splits.test_patients if splits.fixed_test else patients_of(runs[0], [run.test for run in runs])
    return (
        replace(splits, runs=tuple(runs), test_counts=tuple(counts), test_patients=patients),
        [replace(job, run=kept.index(job.run)) for job in jobs if job.run in kept],
    )


def _together(splits: Splits, jobs: Sequence[Job], results: Mapping[str, Found]) -> Study:
    runs: list[dict[str, Answers]] = [{} for _ in splits.runs]
    failures: list[str] = []
    samples = {}
    fitted: dict[str, list[float]] = {}
    for job in jobs:
        found, data = results[job.key], splits.runs[job.run]
        if found.failure:
            failures.append(f"{job.title}: {found.failure}")
            continue
        failures += found.notes
        for arm in job.arms:
            labels = data.validation.known_labels, data.test.known_labels
            fitted.setdefault(job.name(arm), []).append(found.fitted[arm.name])
            runs[job.run][job.name(arm)] = Answers(*found.tested[arm.name], *labels, data.validation.groups)
        if job.member is not None and job.member.name not in samples:
            samples[job.member.name] = found.samples
    named = [(job.name(arm), arm.synthetic) for job in jobs for arm in job.arms]
    plain, synthetic = (list(dict.fromkeys(name for name, made in named if made is kind)) for kind in (False, True))
    return Study(splits, runs, plain, synthetic, failures, samples, fitted)


def _write(path: Path, job: Job, found: Found) -> None:
    """A job's file: arrays, and what is text as JSON."""
    arrays: dict[str, Any] = {
        "about": np.array(
            json.dumps(
                {
                    "failure": found.failure,
                    "seconds": found.seconds,
                    "fitted": dict(found.fitted),
                    "notes": list(found.notes),
                }
            )
        )
    }
    for arm, (validation, test) in found.tested.items():
        arrays |= {f"{arm}/validation": validation, f"{arm}/test": test}
    arrays |= {f"samples/{label}": images for label, images in found.samples.items()}
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)


def _read(path: Path, job: Job) -> Found | None:
    """What is in a job's file; None where there is none, or it is damaged."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            tested = {} if about["failure"] else {
                arm.name: (file[f"{arm.name}/validation"], file[f"{arm.name}/test"]) for arm in job.arms
            }  # fmt: skip
            samples = {int(key.split("/")[1]): file[key] for key in file.files if key.startswith("samples/")}
            return Found(tested, about["failure"], samples, about["fitted"], about["seconds"], about["notes"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
