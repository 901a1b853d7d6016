"""The page of a run: of a search, a comparison or a calibration."""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import tomli_w

from lossgen import settings
from lossgen.codegen.card import card
from lossgen.codegen.card_text import card_lines, screen_line, title_lines
from lossgen.codegen.load import load_argument, read_emitted
from lossgen.codegen.torch_module import emit_torch
from lossgen.errors import InputError
from lossgen.evolution.asked import ROUNDS
from lossgen.evolution.audit import audit_of
from lossgen.evolution.calibrating import STAGE, calibration_in
from lossgen.evolution.clock import overhead
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.conditions import pair_text
from lossgen.evolution.hall_of_fame import HallRow, hall_of
from lossgen.evolution.ladder import beside_baselines
from lossgen.evolution.lineage import CHAMPION, ancestry, find_loss, lineage
from lossgen.evolution.planner import generations_asked
from lossgen.evolution.racing import FORETOLD
from lossgen.evolution.results import comparison_of, verdict_of
from lossgen.evolution.run import Run, versions
from lossgen.evolution.searched import searched
from lossgen.evolution.verdict import standing
from lossgen.language.loss import Loss
from lossgen.language.mathml import loss_mathml
from lossgen.language.parser import parse_loss
from lossgen.language.printer import formula, print_loss
from lossgen.report.calibration import calibration_figure, plateau_line, shown
from lossgen.report.comparison import (
    LOSS,
    cells_of,
    edge_lines,
    ordered,
    other_cells,
    remarks,
    row_label,
    standing_lines,
    title_of,
)
from lossgen.report.curves import curves_figure
from lossgen.report.ending import same_setting
from lossgen.report.figures import box_figure, progress_figure, sample_figure
from lossgen.report.html.blocks import (
    Block,
    Code,
    Facts,
    LossCard,
    Page,
    Picture,
    Section,
    Sheet,
    Words,
    drawn,
    pixels,
)
from lossgen.report.html.charts import front_figure, steps_figure, waterfall_figure
from lossgen.report.lineage import story
from lossgen.report.lineage_picture import lineage_figure
from lossgen.report.live import duration, waterfall_text
from lossgen.report.tables import audit_lines, numbers_of, rank_text, setting_of, verdict_lines

KINDS = {"evolve": "Search", "compare": "Comparison", "calibrate": "Calibration", "ask": "Search, trained elsewhere"}
SHOWN_LINEAGE = 40
"""Losses of a lineage that a picture of it has at most."""
WIDEST, MOST_CURVES = 5, 7
"""Curves of one figure: of losses, and over steps."""
_PAIR = re.compile(r" \(?lr=([0-9.e-]+?)-([0-9.e+]+)\)?")


def run_page(run: Run) -> Page:
    """What a run's folder holds, as it is now."""
    config, archive = run.config, run.archive
    comparison = comparison_of(archive)
    known = _searched(run) if config.kind in ("evolve", "ask") else None
    sections = [
        *(_compared(run, comparison) if comparison else []),
        *(_champion(run, comparison) if comparison and config.kind in ("evolve", "ask") else []),
        *(_search(run, known, comparison) if known else []),
        *(_calibration(run) if config.kind == STAGE else []),
        *(_losses(run, comparison) if comparison and config.kind == "compare" else []),
        Section("How it was made", made_of(run)),
    ]
    data = archive.meta("protocol", {}).get("data", {}).get("name", config.data.name)
    on = f"{Path(config.runner).stem} on {Path(str(data)).name}" if config.runner else f"space {config.space}"
    about = f"{on}; {setting_of(run)}" if archive.meta("protocol") else on
    return Page(f"{KINDS[config.kind]}: {run.name}", about, _headline(run, comparison, known), _state(run), sections)


def _state(run: Run) -> tuple[str, str]:
    archive, kind = run.archive, run.config.kind
    if archive.meta("finished", False):
        return "finished", f"after {duration(sum(archive.meta('profile', {}).values()))} of work"
    again = f"lossgen {kind} --resume {shlex.quote(str(run.path))}"
    if kind == "ask" or archive.meta(ROUNDS):
        return "open", f"its trainings run elsewhere; go on with: lossgen ask {shlex.quote(str(run.path))}"
    if (archive.meta("result") or {}).get("interim"):
        return "interim", f"stopped on the way; go on with: {again}"
    return "running", f"or stopped; this page is written anew while it goes on. A stopped run goes on with: {again}"


def _headline(run: Run, comparison: Comparison | None, known: "_Known | None") -> list[str]:
    """The finding, as far as there is one."""
    archive = run.archive
    if comparison is not None and run.config.kind in ("evolve", "ask"):
        waterfall = archive.waterfall()
        said = verdict_lines(verdict_of(archive), waterfall.get("trained", 0) + waterfall.get("cache", 0))
        return [*said[:1], *_effect(comparison), *said[1:]]
    if comparison is not None:
        return _best_of(comparison)
    if run.config.kind == STAGE:
        calibration = calibration_in(run)
        return [plateau_line(calibration)] if calibration else ["Not all trainings have come to the first budget yet."]
    if known is not None and known.hall:
        best = known.best
        return [
            f"Best so far: {best.name}, {known.objective} {best.value:.4g} in the search.",
            "Not verified yet: of many losses the best by few trainings is one that was lucky, too.",
        ]
    return ["Nothing is trained the whole way yet."]


def _effect(comparison: Comparison) -> list[str]:
    """How much the champion differs from the baseline that is hardest for it."""
    champion = next(iter(comparison.of("champion")), None)
    if champion is None or not champion.values or not comparison.of("baseline"):
        return []
    only = replace(comparison, results=[r for r in comparison.results if r.part in ("champion", "baseline")])
    beside = beside_baselines(only, [champion.name]).found[champion.name]
    ratio = ""
    if beside.ratio:
        ratio = "ratio of the means {:.2f} (95 % interval {:.2f} to {:.2f}), ".format(*beside.ratio)
    delta = f"Cliff's delta {beside.delta:+.2f} (1 where each of its trainings is better)"
    return [f"Beside {beside.baseline}: {ratio}{delta}."]


def _best_of(comparison: Comparison) -> list[str]:
    found = standing(comparison)
    if found is None:
        return ["Nothing can be told apart: too few trainings ended well."]
    near = [label for label, p in found.p.items() if p >= 0.05]
    behind = [label for label, p in found.p.items() if p < 0.05]
    best = found.best
    mean = f"{best.summary.mean:.4g}" if best.summary else ""
    lines = [f"{best.label} has the best mean: {comparison.metric} {mean} over {len(best.values)} seeds."]
    if near:
        lines.append(f"Not shown to differ from it: {', '.join(near)}.")
    if behind:
        lines.append(f"Behind it (p < 0.05, corrected): {', '.join(behind)}.")
    return lines


def _compared(run: Run, comparison: Comparison) -> list[Section]:
    """Table, box plot and samples."""
    grid, search = run.config.grid, run.config.kind == "evolve"
    columns, rows = cells_of(comparison)
    best = next((place for place, result in enumerate(ordered(comparison)) if result.summary is not None), None)
    notes = [*standing_lines(comparison), *(edge_lines(comparison, grid) if search else remarks(comparison, grid))]
    if search:
        fresh = f"All were retrained on {run.config.verify_seeds} fresh seeds; the champion was named before."
        notes = [fresh, *notes]
    blocks: list[Block] = [Sheet(columns, rows, title_of(comparison), [columns.index(LOSS)], best), Words(notes)]
    point = "A point is a seed"
    if run.config.objective == "robust" and run.config.grid:
        point = f"A point is a round of {len(run.config.grid)} trainings, one a pair of learning rates, each of a seed"
    blocks += boxes(comparison, f"{point}; a box from quartile to quartile; the triangle is the mean.", "box")
    blocks += [*_over_steps(run, comparison), *_besides(run, comparison)]
    sections = [Section("Verification" if search else "Comparison", blocks)]
    samples = sample_figure(comparison)
    if samples is not None:
        names = ", ".join(row_label(result) for result in ordered(comparison))
        told = f"Generated images, a grid each by the generators of {names}"
        sections.append(Section("Samples", [pixels(samples, told, "The same seed for all; not chosen.")]))
    return sections


def boxes(comparison: Comparison, caption: str, name: str) -> list[Picture]:
    """The spread over seeds, where any training ended well."""
    having = [result for result in comparison.results if result.values]
    if not having:
        return []
    told = f"Box plot of {comparison.metric} over seeds: " + "; ".join(
        f"{row_label(result)}: {min(result.values):.4g} to {max(result.values):.4g}" for result in having
    )
    return [drawn(box_figure(comparison), told, caption, name)]


def _over_steps(run: Run, comparison: Comparison) -> list[Block]:
    """The objective over the steps of the trainings, where the runner has told of it."""
    objective, direction = next(iter(run.archive.meta("objectives", {}).items()), ("", "min"))
    stages = ("interim",) if run.archive.meta("interim", False) else ("verify", "compare")
    curves: dict[str, list[list[tuple[int, float]]]] = {result.label: [] for result in ordered(comparison)}
    labels = {(result.name, result.condition): result.label for result in comparison.results}
    for stage in stages:
        for key, name, outcome in run.archive.outcomes(stage):
            label = labels.get((name, key.condition)) or labels.get((name, ""))
            points = [(step, values[objective]) for step, values in outcome.curve if objective in values]
            if label is not None and len(points) > 1 and outcome.status == "ok":
                curves[label].append([point for point in points if math.isfinite(point[1])])
    shown_ = {label: trainings for label, trainings in list(curves.items())[:MOST_CURVES] if trainings}
    if not shown_:
        return []
    told = f"{objective} over the steps of the trainings of {', '.join(shown_)}"
    mixed = run.config.objective == "robust" and bool(run.config.grid)
    caption = "Median of all trainings of a loss, " + (
        "of all pairs of rates" if mixed else "and the middle half of them"
    )
    caption += "; on the images that fitness is read from, at the checkpoints that were looked at."
    return [drawn(steps_figure(shown_, objective, direction == "min", not mixed), told, caption, "steps")]


def _besides(run: Run, comparison: Comparison) -> list[Block]:
    """What else was measured; the results of each pair of learning rates in a table of their own."""
    columns, rows = other_cells(comparison)
    if not rows:
        return []
    numbers = numbers_of(run.archive.meta("protocol", {}))
    objective = next(iter(run.archive.meta("objectives", {})), "")
    pairs = [place for place, name in enumerate(columns) if " lr=" in name]
    others = [place for place in range(1, len(columns)) if place not in pairs]
    caption = f"What was measured besides, mean ± standard deviation. {numbers}"
    if objective in columns and comparison.metric != objective:
        caption += f" {objective} is on the validation images, what ends in “test” on those of the test split."
    found: list[Block] = []
    for places, said in ((others, caption), (pairs, "By learning rates (G generator, D discriminator).")):
        if places:
            heads = [columns[0], *(_PAIR.sub(r" G \1, D \2", columns[place]) for place in places)]
            found.append(Sheet(heads, [[row[0], *(row[place] for place in places)] for row in rows], said))
    return found


def _champion(run: Run, comparison: Comparison) -> list[Section]:
    """Formula, card, source, curves and lineage."""
    champion = next(iter(comparison.of("champion")), None)
    if champion is None:
        return []
    loss = parse_loss(champion.loss)
    blocks: list[Block] = [loss_card(loss, "named by the search, verified on fresh seeds", _written(run, champion))]
    baselines = [parse_loss(result.loss) for result in comparison.of("baseline")]
    blocks += _curves([loss, *baselines])
    sections = [Section("Champion", blocks)]
    try:
        graph = lineage(run.archive)
        digest = find_loss(run.archive, graph, CHAMPION)
    except InputError as error:
        return [*sections, Section("Lineage", [Words([str(error)])])]
    above = ancestry(graph, digest)
    told = list(story(run.archive, above, digest))
    if len(above) <= SHOWN_LINEAGE:
        caption = f"{len(above)} losses, from those that were drawn anew to the champion."
        picture = drawn(lineage_figure(above, digest), " ".join(" ".join(told).split()), caption, "lineage")
        lines: list[Block] = [Picture(picture.drawing, picture.told, caption, paper=True)]
    else:
        lines = [Words([f"The champion comes from {len(above)} losses, too many for a picture here."])]
    words = Code("What changed from loss to loss", "\n".join(told), folded=len(told) > SHOWN_LINEAGE)
    return [*sections, Section("Lineage", [*lines, words])]


def _written(run: Run, champion: Result) -> str:
    """The text of the champion's module, where it is where it was written; "" else."""
    file = run.archive.meta("champion_file")
    if not file:
        return ""
    try:
        source = Path(file).read_text(encoding="utf-8")
        same = read_emitted(source, file).digest() == parse_loss(champion.loss).digest()
    except (OSError, UnicodeDecodeError, InputError):
        return ""
    return source if same else ""


def _curves(losses: Sequence[Loss]) -> list[Block]:
    losses = list({loss.digest(): loss for loss in losses}.values())[:WIDEST]
    try:
        figure = curves_figure(losses)
    except InputError as error:
        return [Words([f"No curves: {error}"])]
    names = ", ".join(loss.name for loss in losses[1:])
    told = f"Value and score-gradient of {losses[0].name} over the discriminator's probability, beside {names}"
    return [drawn(figure, told, "Above the value, below the gradient that a score receives, by role.", "curves")]


def loss_card(loss: Loss, part: str, source: str = "") -> LossCard:
    """A loss with all that it takes to judge and to use it.

    Args:
        source: of its module; else as lossgen writes it.
    """
    measured = card(loss)
    text = "\n".join([*title_lines(measured), "", *card_lines(measured), screen_line(measured)])
    source = source or emit_torch(loss)
    texts = [Code("Source", source, f"{loss.name.lower()}.py"), Code("Card", text), Code("Loss text", print_loss(loss))]
    return LossCard(loss.name, part, loss_mathml(loss), texts)


class _Known:
    """What the search of a run came to.

    Attributes:
        points: generation, size and value of what went the whole way, in order of proposal; None for a failure.
        hall: the best of each size.
    """

    def __init__(self, run: Run) -> None:
        archive = run.archive
        self.objective, direction = next(iter(archive.meta("objectives", {"fitness": "min"}).items()))
        self.minimise = direction == "min"
        whole = {digest: found.value for digest, found in searched(archive).items() if found.whole}
        self.points = [
            (row.generation, row.size, whole[row.digest])
            for row in archive.candidates()
            if row.fate == "trained" and row.digest in whole
        ]
        self.hall: list[HallRow] = hall_of(archive)

    @property
    def best(self) -> HallRow:
        return [row for row in self.hall if row.front][-1]


def _searched(run: Run) -> _Known | None:
    return _Known(run) if run.archive.candidates() else None


def _search(run: Run, known: _Known, comparison: Comparison | None) -> list[Section]:
    archive = run.archive
    waterfall = archive.waterfall()
    what = waterfall_text(waterfall)
    blocks: list[Block] = [drawn(waterfall_figure(waterfall), what, f"{what}.", "waterfall")]
    foretold = _foretold(archive.meta(FORETOLD, []))
    blocks += [foretold] if foretold else []
    blocks.append(Words(audit_lines(audit_of(archive))))
    sections = [Section("From proposals to losses", blocks)]
    values = [(generation, value) for generation, _, value in known.points]
    good = [(generation, size, value) for generation, size, value in known.points if value is not None]
    if good:
        best = known.best
        figure = progress_figure(values, known.objective, known.minimise, _bar(known, comparison))
        told = f"{known.objective} of {len(values)} losses in order of proposal; the best is {best.value:.4g}"
        front = [(row.size, row.value) for row in known.hall if row.front]
        said = ", ".join(f"{value:.4g} with {size} nodes" for size, value in front)
        ends = front_figure(good, front, known.objective, known.minimise)
        pictures: list[Block] = [
            drawn(
                figure,
                told,
                "By few trainings, on the images that fitness is read from; later generations are darker, "
                "and the polish comes after the last.",
                "progress",
            ),
            drawn(ends, f"Value over size; on the front: {said}", "The front: better than all smaller ones.", "front"),
        ]
        sections.append(Section("Progress", pictures))
        sections.append(Section("Hall of fame", _hall(known)))
    return sections


def _bar(known: _Known, comparison: Comparison | None) -> tuple[str, float] | None:
    """The best baseline's mean of the search's own objective, where it was verified."""
    means = {}
    for result in comparison.of("baseline") if comparison else []:
        values = [o.metrics[known.objective] for o in result.outcomes if known.objective in o.metrics]
        if values:
            means[result.name] = fmean(values)
    if not means:
        return None
    best = min(means, key=lambda name: means[name] if known.minimise else -means[name])
    return f"{best}, its mean in the verification", means[best]


def _hall(known: _Known) -> list[Block]:
    """The best of each size, and those of the front with their source."""
    columns = ["size", known.objective, "spread", "trainings", "front", "generation", "loss", "formula"]
    rows, formulas = [], {}
    for place, row in enumerate(known.hall):
        loss = parse_loss(row.loss)
        spread = "–" if row.spread is None else f"{row.spread:.2g}"
        front = "yes" if row.front else "no"
        generation = str(row.generation)
        rows.append([
            str(row.size), f"{row.value:.4g}", spread, str(row.trainings), front, generation, row.name, row.loss
        ])  # fmt: skip
        formulas[place, len(columns) - 1] = "".join(_inline(each) for each in loss_mathml(loss))
    caption = (
        "The best loss of each size in the search, by its few trainings: not verified. Spread: standard deviation over "
        "these, which in a robust search have other learning rates each."
    )
    blocks: list[Block] = [Sheet(columns, rows, caption, [4, 6, 7], formulas=formulas)]
    for row in (row for row in known.hall if row.front):
        part = f"{row.size} nodes, {known.objective} {row.value:.4g} in the search, generation {row.generation}"
        blocks.append(loss_card(parse_loss(row.loss).renamed(row.name), part))
    return blocks


def _inline(mathml: str) -> str:
    return mathml.replace(' display="block"', "")


def _foretold(foretold: Sequence[Mapping[str, Any]]) -> Sheet | None:
    """How rungs foretell the next one."""
    if not foretold:
        return None
    rows = [
        [
            each["rung"], each["next"], rank_text(each["of_control"]), str(each["control"]),
            rank_text(each["of_promoted"]), str(each["promoted"]), "yes" if each["dropped"] is not None else "no",
        ]
        for each in foretold
    ]  # fmt: skip
    columns = ["rung", "foretells", "drawn at random", "losses", "promoted", "losses", "left out"]
    caption = "Rank correlations between rungs (steps x replicates), with 95 % intervals."
    return Sheet(columns, rows, caption, [0, 1, 6])


def _calibration(run: Run) -> list[Section]:
    calibration = calibration_in(run)
    if calibration is None:
        return []
    told = f"{calibration.metric} of each loss at its best rates over steps"
    caption = "A line a loss, at the learning rates that are best for it."
    sections = [Section("Over steps", [drawn(calibration_figure(calibration), told, caption, "calibration")])]
    for each in shown(calibration):
        sections.append(Section(each.title, [Sheet(each.columns, each.rows), Words(each.notes)]))
    return sections


def _losses(run: Run, comparison: Comparison) -> list[Section]:
    """The losses of a comparison, each once."""
    sources = {read_emitted(source, "run.toml").name: source for source in run.config.losses}
    first: dict[str, Result] = {}
    for result in ordered(comparison):
        first.setdefault(result.name, result)
    cards: list[Block] = [
        loss_card(parse_loss(result.loss), formula(result.loss), sources.get(name, ""))
        for name, result in first.items()
    ]
    return [Section("Losses", [*_curves([parse_loss(result.loss) for result in first.values()]), *cards])]


def made_of(run: Run) -> list[Block]:
    """Protocol, configuration, versions, hashes, and the command that makes it once more."""
    archive, config = run.archive, run.config
    profile = archive.meta("profile", {})
    seconds = ", ".join(f"{name} {duration(spent)}" for name, spent in sorted(profile.items(), key=lambda i: -i[1]))
    began = archive.meta("versions") or versions()
    reproducible, asked = archive.meta("reproducible", True), config.kind == "ask" or archive.meta(ROUNDS)
    pairs = [
        ("trainings", str(len(archive.outcomes()))),
        ("time", f"{seconds}; the engine's own part is {overhead(profile):.1%}" if profile else "–"),
        ("seed", str(config.seed)),
        *([] if asked else [("runner", f"{Path(config.runner).stem}, SHA-256 {config.runner_digest[:16]}…")]),
        ("device", config.device),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(began.items()))),
        (
            "reproducible",
            "as far as its trainings are, which ran elsewhere"
            if asked
            else "yes, with any number of workers"
            if reproducible
            else "no: what was trained depended on time, or on order",
        ),
    ]
    protocol = archive.meta("protocol", {})
    lines = tomli_w.dumps(_printable(protocol)) if protocol else ""
    configuration = tomli_w.dumps(config.model_dump(exclude_none=True, exclude={"space_text", "losses"}))
    blocks: list[Block] = [Facts(pairs)]
    if asked:
        blocks.append(
            Words([f"Its trainings ran elsewhere; it goes on with: lossgen ask {shlex.quote(str(run.path))}"])
        )
    else:
        functions = {"select": config.select, "vary": config.vary}
        own = [f"{name}={function}" for name, function in functions.items() if function]
        title = f"The command (from Python, with {', '.join(own)} in place of the usual ones)" if own else "The command"
        blocks.append(Code(title, reproducing(run), folded=False))
    if lines:
        blocks.append(Code("Protocol: data with their hashes, metrics, what judges", lines))
    blocks.append(Code("Configuration (run.toml)", configuration))
    if config.space_text:
        blocks.append(Code(f"Search space {config.space}", config.space_text, f"{config.space}.lark"))
    return blocks


def _printable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without None, which TOML does not have."""

    def printable(value: Any) -> Any:
        if isinstance(value, Mapping):
            return _printable(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [printable(each) for each in value if each is not None]
        return value

    return {str(key): printable(value) for key, value in values.items() if value is not None}


def reproducing(run: Run) -> str:
    """The command that makes the run once more."""
    config = run.config
    words = ["lossgen", config.kind]
    if config.kind in ("compare", "calibrate"):
        words += [_argument(read_emitted(source, "run.toml")) for source in config.losses]
    if config.kind == "evolve":
        words += ["--objective", config.objective, "--population", str(config.population)]
        words += ["--mode", config.mode] * (config.mode != settings.MODE)
        words += ["--space", config.space] * (config.space != settings.SPACE)
    if config.kind == "compare" and config.objective == "robust":
        words += ["--objective", "robust"]
    settled: dict[str, Any] = {name: getattr(config, name) for name in ("time_limit", "timeout")}
    if config.kind == "evolve":
        for name in ("generations", "polish", "audit", "max_trainings", "max_steps", "max_candidates", "verify_seeds"):
            settled[name] = getattr(config, name)
        settled["generations"] = generations_asked(config)
        budget = run.archive.meta("budget")
        if budget and not config.time_limit:
            settled |= {"polish": budget["polish"], "audit": budget["audit"]}
    for name, value in settled.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    steps = config.steps or run.archive.meta("steps")
    rungs = config.rungs or (config.rungs_at(steps) if config.race and steps else None)
    if not rungs:
        words += ["--seeds", str(config.seeds)]
    else:
        words += ["--rungs", ",".join(f"{steps}x{replicates}" for steps, replicates in rungs)]
    if config.grid:
        words += ["--grid", ",".join(pair_text(pair) for pair in config.grid)]
    if config.tune_seeds:
        words += ["--tune", "--tune-seeds", str(config.tune_seeds)]
    if config.regularisers is not None:
        words += ["--regulariser", shlex.quote(",".join(config.regularisers))]
    if config.rates:
        chosen = ",".join(f"{name}={pair_text(pair)}" for name, pair in config.rates.items())
        words += ["--rates", shlex.quote(chosen)]
    if config.budgets:
        words += ["--budgets", ",".join(map(str, config.budgets))]
    for text in config.seed_losses:
        words += ["--seed-loss", _argument(parse_loss(text))]
    words += ["--cache"] * config.cache
    words += ["--seed", str(config.seed)]
    words += ["--device", config.device] * (config.device != settings.DEVICE)
    setting = same_setting(run, steps) if steps or config.runner == "command" else ""
    if config.kind == STAGE or rungs:  # whose last one says it
        setting = _without_steps(setting)
    return " ".join([*words, setting]).strip()


def _argument(loss: Loss) -> str:
    """How a command is given the loss: by its name in the zoo, else by its text."""
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", loss.name).lower()
    for name in (stem, loss.name.lower()):
        try:
            if load_argument(name).loss.digest() == loss.digest():
                return name
        except InputError:
            continue
    return shlex.quote(print_loss(loss))


def _without_steps(setting: str) -> str:
    words = setting.split(" ")
    if "--steps" in words:
        place = words.index("--steps")
        del words[place : place + 2]
    return " ".join(words)
