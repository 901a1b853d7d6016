"""Whether synthetic images help a classifier: tables, the verdict in words, and pictures."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossgen.files import without_nan, write_text
from lossgen.gan.contact_sheet import grid
from lossgen.gan.downstream.answers import Variant, variants
from lossgen.gan.downstream.classifiers import Recipe
from lossgen.gan.downstream.folds import Splits
from lossgen.gan.downstream.rates import Rates, mean_rates, needed_images
from lossgen.gan.downstream.study import Study
from lossgen.gan.downstream.verdict import Contrast, choices, contrast
from lossgen.gan.splits import plural
from lossgen.report.canvas import COLOURS, new_figure, save
from lossgen.report.documents import aligned, latex_table, markdown_table, plain

USUAL_RECALL = 0.75
"""What the recall of a rare class is about, before anything is known."""
FEW = 10
"""Runs whose differences are said one by one."""
TOP = ("balanced accuracy", "g-mean", "macro-F1", "AUROC")
REAL = Variant("real only")


@dataclass(frozen=True)
class Judged:
    """The verdict: synthetic images against the best remedy without, and against real images alone."""

    ours: Sequence[Variant]
    theirs: Sequence[Variant]
    against_best: Contrast
    against_real: Contrast


@dataclass(frozen=True)
class Report:
    """What is said of a study.

    Attributes:
        effect: the gain in balanced accuracy that is asked for.
        setting: of the GANs and classifiers, in a line.
    """

    effect: float
    setting: str

    def beforehand(self, splits: Splits) -> list[str]:
        """What the numbers of images alone say of what can be found out."""
        names = splits.runs[0].classes
        rarest = int(np.argmin(splits.test_counts))
        count = splits.test_counts[rarest]
        known = 1.96 * (USUAL_RECALL * (1 - USUAL_RECALL) / count) ** 0.5
        needed = needed_images(self.effect * len(names) / 2, USUAL_RECALL)
        line = (
            f"Tested on {plural(count, 'image')} of {names[rarest]}, the rarest class: they tell a recall of "
            f"{USUAL_RECALL:g} to ± {known:.2f}"
        )
        if count < needed:
            line += (
                f"; to know a balanced accuracy to ± {self.effect:g} takes about {needed}, and what splits, GANs and "
                "classifiers add to that the interval will say"
            )
        return [line + "."]

    def judged(self, study: Study) -> Judged:
        """The verdict in numbers."""
        ours = choices(study.runs, study.synthetic, study.plain)
        theirs = choices(study.runs, study.plain)
        real = [REAL] * len(study.runs)
        return Judged(
            ours, theirs, contrast(study.runs, ours, theirs, study.splits),
            contrast(study.runs, ours, real, study.splits),
        )  # fmt: skip

    def lines(self, study: Study) -> list[str]:
        """All of it for a terminal."""
        return ["", *aligned(*self.table(study)), "", *self.notes(study), "", *self.verdict(study), ""]

    def table(self, study: Study) -> tuple[list[str], list[list[str]]]:
        """Columns and rows: each arm's means over the runs, on test images."""
        columns = ["", "balanced accuracy", "tuned", "g-mean", "AUROC", *(f"recall {name}" for name in study.classes)]
        columns += ["above real only", "95 % interval"]
        rows = []
        for arm in [*study.plain, *study.synthetic]:
            runs = [run for run in study.runs if arm in run]
            if not runs:
                rows.append([arm, "failed", *[""] * (len(columns) - 2)])
                continue
            each = [run[arm].on_test(False) for run in runs]
            tuned = [run[arm].on_test(True).balanced_accuracy for run in runs]
            recall = np.nanmean([found.recall for found in each], axis=0)
            few = f" ({len(runs)} of {len(study.runs)})" * (len(runs) < len(study.runs))
            row = [
                arm + few, _spread([found.balanced_accuracy for found in each]), _spread(tuned),
                *(f"{np.nanmean(values):.3f}" for values in zip(*((found.g_mean, found.auroc) for found in each))),
                *(f"{value:.3f}" for value in recall),
            ]  # fmt: skip
            if arm == REAL.arm:
                rows.append([*row, "", ""])
                continue
            found = _above_real(study, Variant(arm))
            interval = f"{found.low:+.3f} to {found.high:+.3f}" if np.isfinite(found.low) else "of one run: none"
            rows.append([*row, f"{found.mean:+.3f}", interval])
        return columns, rows

    def notes(self, study: Study) -> list[str]:
        """What is to be known of the table."""
        runs = plural(len(study.runs), "run")
        return [
            f"Mean ± standard deviation over {runs}, on test images. Tuned: balanced accuracy with thresholds tuned on "
            "validation. Recalls, g-mean and the last two columns are of the plain decision; AUROC knows none.",
            "Intervals cover split, GAN and classifier (corrected resampled t-test), each by itself and not for all of "
            "them at once.",
            *self.cautions(study),
            *(f"Failed: {failure}" for failure in study.failures),
        ]

    def cautions(self, study: Study) -> list[str]:
        """What the numbers do not say, or say against themselves."""
        first, counts = study.splits.runs[0], study.splits.test_counts
        said = [
            f"All of this is of images of {first.size} × {first.size} pixels, small networks and short trainings: "
            "larger ones may answer otherwise."
        ]
        common = max(counts) / sum(counts)
        best = max(
            np.mean([run[arm].on_test(False).accuracy for run in study.runs if arm in run])
            for arm in {arm for run in study.runs for arm in run}
        )
        if best <= common:
            name = study.classes[int(np.argmax(counts))]
            said.append(
                f"No arm is right more often than who always says {name} (accuracy {common:.3f}; the best arm has "
                f"{best:.3f}): as a classifier none of them is of use yet, and what helps such ones may not help good "
                "ones."
            )
        return said

    def verdict(self, study: Study) -> list[str]:
        """The finding, in words."""
        found = self.judged(study)
        best = found.against_best
        words = best.words(self.effect)
        head = {
            "helps": "synthetic images help", "hurts": "synthetic images hurt",
            "does not help": "synthetic images do not help",
            "cannot be told": "whether synthetic images help cannot be told with these data",
        }[words]  # fmt: skip
        said = (
            "Against the best arm without a GAN, the best one with synthetic images changes balanced accuracy by "
            f"{_interval(best)}; both are chosen on validation in each run."
        )
        asked = f"a gain of {self.effect:g}, which was asked for,"
        rarest, count = study.classes[best.rarest[0]], best.rarest[1]
        tail = {
            "helps": f"But {asked} is ruled out." if best.high < self.effect else "",
            "hurts": "",
            "does not help": f"{asked[0].upper()}{asked[1:]} is ruled out.",
            "cannot be told": (
                f"It may be nothing, and it may be the gain of {self.effect:g} that is asked for: "
                + (
                    f"to tell takes many runs on about {best.needed(self.effect)} test images of {rarest}, and there "
                    f"are {count}"
                    if best.needed(self.effect) > count
                    else f"more runs would tell on the {count} test images of {rarest} that there are"
                )
                + f"; more runs on these would narrow the interval to ± {best.at_best:.3f} at best."
            ),
        }[words]  # fmt: skip
        real = (
            f"Against real images alone, with no remedy, it changes balanced accuracy by "
            f"{_interval(found.against_real)}."
        )
        chosen = f"Chosen without a GAN: {_counted(found.theirs)}. With synthetic images: {_counted(found.ours)}."
        if len(best.differences) <= FEW:
            chosen += f" Their difference, run by run: {', '.join(f'{each:+.3f}' for each in best.differences)}."
        return [f"Verdict: {head}.", " ".join(filter(None, [said, tail])), real, chosen]

    def as_json(self, study: Study, recipe: Recipe) -> dict[str, Any]:
        """All of it as JSON values."""
        found = self.judged(study)
        arms: dict[str, Any] = {}
        for variant in variants([*study.plain, *study.synthetic]):
            runs = _by_run(study, variant)
            if runs:
                arms[variant.title] = {
                    "all": mean_rates(runs).as_json(),
                    "runs": {number: rate.as_json() for number, rate in runs.items()},
                    "above_real": asdict(_above_real(study, variant)),
                }
        best = found.against_best
        return {
            "schema": 1, "classes": list(study.classes), "design": study.splits.description,
            "left_out": study.splits.left_out, "test_counts": list(study.splits.test_counts),
            "data": [run.digest for run in study.splits.runs], "setting": self.setting, "classifier": asdict(recipe),
            "effect": self.effect, "verdict": best.words(self.effect), "sentences": self.verdict(study),
            "needed": best.needed(self.effect), "against_best": asdict(best),
            "against_real": asdict(found.against_real), "chosen": [variant.title for variant in found.ours],
            "chosen_without_a_gan": [variant.title for variant in found.theirs],
            "arms": arms, "accuracy_on_training_images": {arm: list(values) for arm, values in study.fitted.items()},
            "failures": list(study.failures),
        }  # fmt: skip

    def write(self, study: Study, folder: Path, recipe: Recipe) -> list[Path]:
        """Numbers, the report, its table for LaTeX, and pictures; their paths."""
        numbers, report, table = (folder / name for name in ("imbalance.json", "report.md", "table.tex"))
        write_text(numbers, json.dumps(without_nan(self.as_json(study, recipe)), indent=2, ensure_ascii=False) + "\n")
        write_text(report, self.markdown(study))
        caption = [
            f"Classifiers with and without synthetic images: {study.splits.description}.",
            *self.notes(study)[:2],
        ]
        write_text(table, latex_table(*self.table(study), " ".join(caption), label="tab:synthetic"))
        return [
            numbers,
            report,
            table,
            write_runs(study, folder / "runs.csv"),
            self.draw_arms(study, folder / "arms.png"),
            draw_confusion(study, folder / "confusion.png"),
            *draw_samples(study, folder),
        ]

    def markdown(self, study: Study) -> str:
        """Verdict, table, and the tables of Ismail et al. (2023)."""
        lines = ["# Do synthetic images help?", ""]
        for line in self.verdict(study):
            lines += [plain(line), ""]
        lines += [*markdown_table(*self.table(study)), ""]
        for note in [f"Design: {study.splits.description}.", f"{self.setting}.", *self.notes(study)]:
            lines += [plain(note), ""]
        lines += [
            "![Balanced accuracy of each arm above real images only](arms.png)", "",
            "Circles: the plain decision; squares: with thresholds tuned on validation; orange: with synthetic images. "
            "Lines are 95 % intervals, the dotted one the gain that is asked for.", "",
        ]  # fmt: skip
        for name in study.samples:
            lines += [f"![Real images and images by {name}, class by class](synthetic-{name}.png)", ""]
        lines += ["## By class", "", "Of the test images of all runs together.", ""]
        lines += [*markdown_table(*by_class(study)), ""]
        lines += ["![Where images of each class have gone](confusion.png)", ""]
        lines += ["## Accuracy on real training, validation and test images", "", *markdown_table(*accuracies(study))]
        return "\n".join(lines) + "\n"

    def draw_arms(self, study: Study, path: Path) -> Path:
        """What each arm is above real images alone, with its interval."""
        rows = [v for v in variants([*study.plain, *study.synthetic]) if v != REAL]
        figure = new_figure(7.0, 0.8 + 0.27 * len(rows))
        axes = figure.add_subplot()
        axes.axvline(0, color="0.6", linewidth=1)
        axes.axvline(self.effect, color="0.6", linewidth=1, linestyle=":")
        for place, variant in enumerate(rows):
            if sum(variant.arm in run for run in study.runs) < 2:
                continue
            found = _above_real(study, variant)
            colour = COLOURS[0] if variant.arm in study.synthetic else COLOURS[1]
            axes.plot([found.low, found.high], [place, place], color=colour, linewidth=1.4)
            axes.plot(found.mean, place, "o" if not variant.tuned else "s", color=colour, markersize=4)
        axes.set_yticks(range(len(rows)), [variant.title for variant in rows], fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(
            "balanced accuracy above real images only\n(95 % intervals; dotted: the gain asked for)", fontsize=8
        )
        save(figure, path)
        return path


def by_class(study: Study) -> tuple[list[str], list[list[str]]]:
    """Precision, recall and F1 of each class and arm, of all runs' test images together."""
    columns = ["", *(f"{name} {metric}" for name in study.classes for metric in ("precision", "recall", "F1"))]
    rows = []
    for variant, found in _pooled(study).items():
        cells = [f"{value:.3f}" for three in zip(found.precision, found.recall, found.f1) for value in three]
        rows.append([variant.title, *cells])
    return columns, rows


def accuracies(study: Study) -> tuple[list[str], list[list[str]]]:
    """Accuracy of each arm's plain decision on real training, validation and test images, means over the runs."""
    rows = []
    for arm in [*study.plain, *study.synthetic]:
        runs = [run[arm] for run in study.runs if arm in run]
        if runs:
            held_out = [float((each.validation.argmax(1) == each.validation_labels).mean()) for each in runs]
            tested = [each.on_test(False).accuracy for each in runs]
            rows.append([arm, *(f"{np.mean(values):.3f}" for values in (study.fitted[arm], held_out, tested))])
    return ["", "training", "validation", "test"], rows


def draw_confusion(study: Study, path: Path) -> Path:
    """Where images of each class have gone, for real images only and for the arms with synthetic ones."""
    pooled = _pooled(study)
    shown = [variant for variant in pooled if variant == REAL or (variant.arm in study.synthetic and not variant.tuned)]
    classes = len(study.classes)
    side = max(1.9, 0.45 * classes + 0.9)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(side * columns + 0.6, (side + 0.4) * rows)
    for place, variant in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        confusion = pooled[variant].confusion
        shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
        axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        for i in range(classes):
            for j in range(classes):
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(j, i, f"{shares[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
        names = [name[:12] for name in study.classes]
        axes.set_xticks(range(classes), names, fontsize=7, rotation=45)
        axes.set_yticks(range(classes), names if not place % columns else [""] * classes, fontsize=7)
        axes.set_title(variant.title.replace(" with ", "\nwith "), fontsize=8)
    figure.supxlabel("taken for (shares of a class, test images of all runs)", fontsize=8)
    figure.supylabel("class", fontsize=8)
    save(figure, path)
    return path


def draw_samples(study: Study, folder: Path) -> list[Path]:
    """Real training images and generated ones, class by class, a picture a loss."""
    train = study.splits.runs[0].train
    paths = []
    for name, samples in study.samples.items():
        figure = new_figure(6.4, 1.2 * len(samples) + 0.2)
        for row, (label, made) in enumerate(sorted(samples.items())):
            real = train.images[train.known_labels == label][: len(made)]
            for column, (title, images) in enumerate((("real", real), (f"by {name}", made))):
                axes = figure.add_subplot(len(samples), 2, 2 * row + column + 1)
                axes.imshow(grid(images, 8).squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_title(f"{study.classes[label]}, {title}", fontsize=8)
                axes.set_axis_off()
        path = folder / f"synthetic-{name}.png"
        save(figure, path)
        paths.append(path)
    return paths


def write_runs(study: Study, path: Path) -> Path:
    """What each arm gets right in each run, on test images: a CSV row each."""
    columns = ["run", "arm", "threshold", "balanced accuracy", "accuracy", "g-mean", "macro-F1", "AUROC"]
    lines = [[*columns, *(f"recall {name}" for name in study.classes)]]
    for number, run in enumerate(study.runs):
        for variant in variants([arm for arm in [*study.plain, *study.synthetic] if arm in run]):
            found = run[variant.arm].on_test(variant.tuned)
            numbers = [
                found.balanced_accuracy,
                found.accuracy,
                found.g_mean,
                float(np.mean(found.f1)),
                found.auroc,
                *found.recall,
            ]
            threshold = "tuned on validation" if variant.tuned else "plain"
            lines.append([str(number + 1), variant.arm, threshold, *(f"{value:.6g}" for value in numbers)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(path, text.getvalue())
    return path


def _pooled(study: Study) -> Mapping[Variant, Rates]:
    found = {}
    for variant in variants([*study.plain, *study.synthetic]):
        runs = _by_run(study, variant)
        if runs:
            found[variant] = mean_rates(runs)
    return found


def _by_run(study: Study, variant: Variant) -> dict[str, Rates]:
    """On test images, by the number of the run."""
    tested = {str(number): run[variant.arm] for number, run in enumerate(study.runs) if variant.arm in run}
    return {number: each.on_test(variant.tuned) for number, each in tested.items()}


def _above_real(study: Study, variant: Variant) -> Contrast:
    """What an arm is above real images only, in the runs that have it."""
    runs = [run for run in study.runs if variant.arm in run]
    return contrast(runs, [variant] * len(runs), [REAL] * len(runs), study.splits)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:.3f}"


def _interval(found: Contrast) -> str:
    return f"{found.mean:+.3f} (95 % interval {found.low:+.3f} to {found.high:+.3f})"


def _counted(chosen: Sequence[Variant]) -> str:
    return "; ".join(f"{title} {count} ×" for title, count in Counter(v.title for v in chosen).most_common())
