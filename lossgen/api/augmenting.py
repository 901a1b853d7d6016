"""`lossgen augment`: from a folder of images to an answer, whether synthetic ones help a classifier, in a given time.

It looks at the data, measures what a step costs here, plans what fits, carries it out, and ends with a verdict.
Synthetic images are exported only where they helped and passed the audit.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lossgen import __version__
from lossgen.api.asked import seconds
from lossgen.codegen.load import NamedSource, load_argument
from lossgen.devices import default_workers
from lossgen.errors import InputError
from lossgen.files import expanded, write_text
from lossgen.gan.auditing import FEWEST, Audit, held_against
from lossgen.gan.cards import prints
from lossgen.gan.data import Dataset, ImageSet
from lossgen.gan.downstream.folds import Splits, split_again
from lossgen.gan.downstream.plan import PLANS, SHARE, Plan, Price, fitted, measured
from lossgen.gan.downstream.study import Found, Job, Study, carry_out, made_by
from lossgen.gan.downstream.synthesis import Made
from lossgen.gan.sources import read
from lossgen.language.printer import formula
from lossgen.report.auditing import headline, write_audit
from lossgen.report.datacard import audited, card, write_card
from lossgen.report.images import write_images
from lossgen.report.imbalance import Report
from lossgen.report.live import duration
from lossgen.report.methods import methods
from lossgen.runner import Budget, DataSpec, Member, find_runner

LOSSES = ("bce", "quartic_sigmoid")
"""What GANs are trained with: the plain loss first, then the best that lossgen has found (docs/discovered.md)."""
LITTLE = 0.1
"""Share of the largest class below which what others lack is little."""
EFFECT = 0.05
"""Gain in balanced accuracy that is worth having."""
PLAN, EXPORTED = "plan.json", "synthetic"
SMALL, LARGE = 16, 64
"""Sides in pixels, where there is too little time for the usual size, and where there is much."""
MUCH = 5
"""How often the richest plan must fit at the usual size before a larger one is looked at."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Augmented:
    """What came of it.

    Attributes:
        words: "helps", "does not help", "hurts" or "cannot be told".
        study: all that was measured.
        exported: the folder of synthetic images; None where none were exported.
        audit: of what was generated to be exported; None where there was no reason to.
        files: what was written.
    """

    words: str
    study: Study
    exported: Path | None
    audit: Audit | None
    files: tuple[Path, ...]


def augment(
    data: str | Path, time_limit: float | str, out: str | Path, *, workers: int | None = None, device: str = "cpu",
    seed: int = 0, say: Say = print,
) -> Augmented:  # fmt: skip
    """Find out within a time whether synthetic images help a classifier of `data`, and export them if they do.

    Args:
        data: a folder with a folder a class, an .npz file, or the name of a data set.
        time_limit: seconds, or as text: "90s", "60m", "2h".
        out: folder to write to; an earlier call that was stopped goes on in it.
        workers: processes; None takes one a core, or one on a GPU.
        say: told what the user should know, line by line.

    Raises:
        InputError: what is wrong with the data, or too little time.
    """
    started = time.monotonic()
    data, out, time_limit = str(data), Path(out), seconds("time_limit", time_limit)
    folder = expanded(data)
    if folder.is_dir() and expanded(out).resolve().is_relative_to(folder.resolve()):
        raise InputError(f"--out {out}: lies in {data}, and would be read as images of it; give a folder elsewhere")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; give a folder, or a name that is free")
    runner = _loaded(data, device)
    count = sum(map(len, (runner.data.train, runner.data.validation, runner.data.test)))
    say(f"{data}: {count} images of {len(runner.data.classes)} classes: {', '.join(runner.data.classes)}.")
    workers = workers or max(1, default_workers(device))
    for note in split_again(runner.data, "folds", seed).notes:
        say(note)
    say("… measuring what a step costs here")
    left = time_limit - (time.monotonic() - started)
    plan, price, prepared = _planned(data, runner, out, workers, left, device, seed, say)
    runner, splits, losses, jobs = prepared.runner, prepared.splits, prepared.losses, prepared.jobs
    for line in _plan_lines(plan, price if prepared.undone(out) else None, workers, splits, losses):
        say(line)
    report = Report(EFFECT, runner.setting_described())
    for line in [runner.notes()[0], *_warnings(runner), *report.beforehand(splits)]:
        say(line)

    def said(done: int, job: Job, found: Found) -> None:
        passed = duration(time.monotonic() - started)
        say(f"{done} of {len(jobs)} after {passed}: {job.title}: {found.failure or 'done'}")

    last = plan.job(price) + plan.closing(price)
    if prepared.undone(out) and last + time.monotonic() - started > time_limit:
        raise InputError(f"--time-limit: what comes next in the plan takes {duration(last)}; give {duration(2 * last)}")
    try:
        study = carry_out(
            splits, jobs, out / "jobs", workers, said, lambda: time.monotonic() - started + last < time_limit
        )  # fmt: skip
    except KeyboardInterrupt:
        say("What was finished is kept; the same command goes on.")
        raise
    if len(study.splits.runs) < len(splits.runs):
        say(f"Time is up: the verdict is of the {len(study.splits.runs)} of {len(splits.runs)} runs that are done.")
    for line in report.lines(study):
        say(line)
    judged = report.judged(study)
    words = judged.against_best.words(EFFECT)
    files = report.write(study, out, jobs[0].recipe)
    exported, audit = None, None
    if words == "helps":
        used = Counter(each.name for variant in judged.ours for each in losses if made_by(variant.arm, each.name))
        loss = next(each for each in losses if each.name == used.most_common(1)[0][0])
        exported, audit, written = _export(runner, loss, plan, (seed, 0), out, say)
        files += written
    else:
        say("No synthetic images are exported: only such that helped are.")
    if exported is None and (out / EXPORTED).exists():
        shutil.rmtree(out / EXPORTED)  # of an earlier call with another answer
    text = out / "methods.md"
    write_text(text, methods(study, plan, losses, runner, report, audit, __version__, seed))
    files.append(text)
    say("wrote " + "\n      ".join(map(str, files)))
    return Augmented(words, study, exported, audit, tuple(files))


@dataclass(frozen=True)
class _Prepared:
    """All that is to be done under a plan."""

    runner: Any
    splits: Splits
    losses: Sequence[NamedSource]
    jobs: Sequence[Job]

    def undone(self, out: Path) -> bool:
        """Whether any of it is not done yet."""
        return not all((out / "jobs" / f"{job.key}.npz").exists() for job in self.jobs)


def _loaded(data: str, device: str, size: int | None = None) -> Any:
    """A runner with the images, at the usual size or at another."""
    found: Any = find_runner("imbalance").cls
    runner = found(found.options())
    runner.load_cut(DataSpec(data, image_size=size), device)
    return runner


def _prepared(runner: Any, plan: Plan, seed: int, device: str) -> _Prepared:
    images: Dataset = runner.data
    splits = split_again(images, "folds", seed, plan.repeats)
    planned = type(runner)(runner.options(classifier_steps=plan.classifier_steps))
    planned.data = images
    losses = [load_argument(name) for name in LOSSES[: plan.losses]]
    jobs = planned.jobs(splits, losses, seed, plan.steps, device)
    return _Prepared(planned, splits, losses, jobs)


def _planned(
    data: str, runner: Any, out: Path, workers: int, limit: float, device: str, seed: int, say: Say
) -> tuple[Plan, Price, _Prepared]:  # fmt: skip
    """What is to be done, and what a step costs: a new plan, that of an earlier call, or a richer one after it."""
    digest, plan = runner.data.digest, _kept(out, runner.data.digest, seed)
    if plan is None:
        runner, price, plan = _sized(data, runner, device, seed, workers, limit)
        _keep(out, digest, plan, seed)
        return plan, price, _prepared(runner, plan, seed, device)
    runner = runner if plan.size is None else _loaded(data, device, plan.size)
    price, prepared = _price(runner, seed, device), _prepared(runner, plan, seed, device)
    if prepared.undone(out):
        say("Going on with the plan of the earlier call.")
        return plan, price, prepared
    more = _richer(plan, price, workers, limit)
    if more is None:
        say("Going on with the plan of the earlier call, of which all is done.")
        return plan, price, prepared
    say("The plan of the earlier call is done, and there is time for a richer one.")
    say(f"Until that is done, too, the report in {out} is of the earlier one.")
    _keep(out, digest, more, seed)
    return more, price, _prepared(runner, more, seed, device)


def _price(runner: Any, seed: int, device: str) -> Price:
    """What a step costs here."""
    return measured(*_prepared(runner, Plan(1, 1, 1), seed, device).jobs[:2])


def _sized(data: str, runner: Any, device: str, seed: int, workers: int, limit: float) -> tuple[Any, Price, Plan]:
    """The richest plan that fits at the usual size; at a larger one where there is much time, else at a smaller one.

    Raises:
        InputError: nothing fits.
    """
    price, usual = _price(runner, seed, device), runner.data.size
    try:
        plan = fitted(price, workers, limit)
    except InputError:
        if usual <= SMALL:
            raise
        smaller = _loaded(data, device, SMALL)
        price = _price(smaller, seed, device)
        return smaller, price, replace(fitted(price, workers, limit), size=SMALL)
    shapes = np.concatenate([split.images.shapes for split in read(DataSpec(data)).splits.values()])
    ample = plan == PLANS[0] and MUCH * plan.seconds(price, workers) <= limit
    if ample and usual < LARGE <= shapes.min():
        larger = _loaded(data, device, LARGE)
        dearer = _price(larger, seed, device)
        if fitted(dearer, workers, limit) == plan:
            return larger, dearer, replace(plan, size=LARGE)
    return runner, price, plan


def _richer(plan: Plan, price: Price, workers: int, limit: float) -> Plan | None:
    """A plan of this size for which there is more than there was time for."""
    try:
        found = replace(fitted(price, workers, limit), size=plan.size)
    except InputError:
        return None
    return found if found.seconds(price, workers) > plan.seconds(price, workers) else None


def _kept(out: Path, digest: str, seed: int) -> Plan | None:
    """The plan of an earlier call in this folder, which goes on.

    Raises:
        InputError: the folder is of other data or another seed, or holds what would be overwritten.
    """
    file = out / PLAN
    if not file.exists():
        if (out / EXPORTED).exists():
            raise InputError(f"--out {out}: holds a folder {EXPORTED} that is of no study; give another folder")
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        began = kept.get("seed", seed)
        if began != seed:
            raise InputError(f"--seed {seed}: the study in {out} began with seed {began}; give that, or another --out")
        known, plan = kept["data"], Plan(**kept["plan"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"--out {out}: its {PLAN} is damaged; give another folder") from None
    if known != digest:
        raise InputError(f"--out {out}: holds a study of other images; give another folder")
    return plan


def _keep(out: Path, digest: str, plan: Plan, seed: int) -> None:
    """Write the plan to where a later call looks for it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: cannot make this folder: {error.strerror}") from None
    write_text(
        out / PLAN, json.dumps({"schema": 1, "data": digest, "seed": seed, "plan": asdict(plan)}, indent=2) + "\n"
    )


def _warnings(runner: Any) -> list[str]:
    """What can be foretold from the numbers of images."""
    data: Dataset = runner.data
    lacking: dict[int, int] = runner.synthesis.lacking
    said = []
    if max(lacking.values(), default=0) < LITTLE * max(runner.counts):
        said.append("The classes are nearly of one size: what fills them up is little, and so is what it can change.")
    for label, (train, held_out, generated) in _unauditable(data, lacking).items():
        said.append(
            f"Images of {data.classes[label]} will not be exported, whatever comes out: an audit takes {FEWEST} images "
            f"of it to train on, {FEWEST} held out and {FEWEST} generated; there are {train}, {held_out} and "
            f"{generated}."
        )
    return said


def _unauditable(data: Dataset, generated: Mapping[int, int]) -> dict[int, tuple[int, int, int]]:
    """Classes with too few images for an audit: how many there are to train on, held out, and generated."""
    found = {}
    for label, count in generated.items():
        train, *held_out = (int(np.sum(part.labels == label)) for part in (data.train, data.validation, data.test))
        if min(train, sum(held_out), count) < FEWEST:
            found[label] = train, sum(held_out), count
    return found


def _plan_lines(
    plan: Plan, price: Price | None, workers: int, splits: Splits, losses: Sequence[NamedSource]
) -> list[str]:
    """What is planned, and its price, unless all of it is done."""
    named = " and ".join(loss.name for loss in losses)
    lines = [
        f"Plan: {splits.description}; images at {splits.runs[0].size} × {splits.runs[0].size} pixels.",
        f"In each of the {len(splits.runs)} runs five classifiers without a GAN, then GANs of {plan.steps} steps by "
        f"{named}, and two classifiers on the images of each; all classifiers take {plan.classifier_steps} steps.",
    ]
    if price is None:
        return lines
    lines.append(
        f"Price: about {duration(plan.seconds(price, workers))} with {workers} worker{'s' * (workers > 1)} "
        f"({1000 * price.gans:.0f} ms a step of the GANs, {1000 * price.classifier:.0f} ms of a classifier)."
    )
    if plan.seconds(price, workers) < (richest := PLANS[0].seconds(price, workers)):
        lines.append(
            f"Given {duration(richest / SHARE)}, it would be {len(LOSSES)} losses and five folds twice: narrower "
            "intervals."
        )
    return lines


def _export(
    runner: Any, loss: NamedSource, plan: Plan, seed: tuple[int, ...], out: Path, say: Say
) -> tuple[Path | None, Audit | None, list[Path]]:
    """Train the loss as in the first run, audit what its classifiers have seen of it, and write it if it passes."""
    data: Dataset = runner.data
    setting, member = runner.setting({}), Member(loss.name, loss.source, seed, keep=out / "models")
    outcome, made = runner.synthesis.make(member, setting, Budget(plan.steps))
    if outcome.status != "ok":
        say(f"No synthetic images are exported: the last training {outcome.status}: {outcome.reason}.")
        return None, None, []
    files = [path for kind, path in outcome.files.items() if kind.startswith("model")]
    few = _unauditable(data, {label: len(images) for label, images in made.items()})
    made = {label: images for label, images in made.items() if label not in few}
    if few:
        left_out = ", ".join(data.classes[label] for label in few)
        say(f"Not exported, since there are too few images for an audit: {left_out}.")
    if not made:
        say("No synthetic images are exported.")
        return None, None, files
    audit = _audited(data, made)
    files += write_audit(audit, out)
    say(f"Audit: {headline(audit)}")
    if not audit.passed:
        say("No synthetic images are exported.")
        return None, audit, files
    folder = out / EXPORTED
    if folder.exists():
        shutil.rmtree(folder)
    labels = np.repeat(list(made), [len(images) for images in made.values()])
    write_images(np.concatenate([images.cpu().numpy() for images in made.values()]), folder, labels, data.classes)
    counts = {data.classes[label]: len(images) for label, images in made.items()}
    source = {"name": data.name, "digest": data.digest, "classes": list(data.classes)}
    source["training"] = prints(data.train.images)
    content = card(
        source=source, loss=(loss.name, formula(loss.loss)), model="DCGAN, one a class", seed=seed, steps=plan.steps,
        size=data.size, counts=counts, version=__version__,
    )  # fmt: skip
    cards = write_card(audited(content, audit), folder)
    say(f"Exported: {', '.join(f'{count} of {name}' for name, count in counts.items())}: {folder}")
    return folder, audit, [*files, *cards]


def _audited(data: Dataset, made: Made) -> Audit:
    """Against the training images, and those of validation and test."""

    def named(split: ImageSet) -> np.ndarray:
        return np.array(data.classes)[split.known_labels]

    others = np.concatenate([data.validation.images, data.test.images])
    fakes = np.concatenate([images.cpu().numpy() for images in made.values()])
    names = [
        named(data.train), np.concatenate([named(data.validation), named(data.test)]),
        np.concatenate([np.full(len(images), data.classes[label]) for label, images in made.items()]),
    ]  # fmt: skip
    titles = data.name, "the synthetic images", f"{data.name}, validation and test"
    return held_against([data.train.images, others, fakes], names, data.classes, titles)
