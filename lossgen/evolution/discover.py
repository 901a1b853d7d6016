"""The main job: search, name one champion, simplify it, verify it on fresh seeds, hand over its source."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossgen.codegen.load import load_argument
from lossgen.codegen.torch_module import body_of
from lossgen.errors import InputError
from lossgen.evolution.audit import audit
from lossgen.evolution.clock import Clock
from lossgen.evolution.compare import Comparison, Contestant, Result, compare
from lossgen.evolution.comparing import finish, forget_interim
from lossgen.evolution.config import BASELINES, RUNNERS_UP, DataConfig, RunConfig
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Listener, Plan
from lossgen.evolution.finalists import check_ahead, choose_finalists
from lossgen.evolution.run import Run, versions
from lossgen.evolution.search import Search, engine_of
from lossgen.evolution.selection import Select, select
from lossgen.evolution.session import Session
from lossgen.evolution.space_reader import find_space
from lossgen.evolution.steady import SteadySearch
from lossgen.evolution.variation import Vary, vary
from lossgen.evolution.verdict import Verdict, judge
from lossgen.evolution.workers.choice import workers_for
from lossgen.evolution.workers.messages import Assignment
from lossgen.files import sweep, write_text
from lossgen.language.printer import print_loss
from lossgen.resources import cache_dir
from lossgen.runner import find_runner
from lossgen.settings import RayWorkers


@dataclass(frozen=True)
class Discovery:
    """What a search came to.

    Attributes:
        comparison: champion, baselines and runners-up on fresh seeds.
        champion: its result, None when no candidate trained well.
        verdict: of the champion against the baseline that is hardest for it.
        file: the emitted module of the champion.
        plan: what the budget bought.
    """

    comparison: Comparison
    champion: Result | None
    verdict: Verdict | None
    file: Path | None
    plan: Plan


def resolve(config: RunConfig) -> RunConfig:
    """The configuration with what its names mean written out: the runner's path and hash, the space's text.

    Raises:
        InputError: a name means nothing, a seed loss is outside the space, or options that the runner does not have.
    """
    from pydantic import ValidationError

    found = find_runner(config.runner)
    try:
        options = found.cls.options.model_validate(config.options)
    except ValidationError as error:
        problem = error.errors()[0]
        flag = "--" + "-".join(str(part) for part in problem["loc"]).replace("_", "-")
        raise InputError(f"{flag}: {problem['msg']} (got {problem.get('input')!r})") from None
    change: dict[str, Any] = {"data": _settled(config.data)}
    change |= {"runner": str(found.path) if config.runner.endswith(".py") else config.runner}
    change |= {"runner_digest": found.digest, "options": options.model_dump()}
    if config.kind == "evolve" and not config.space_text:
        change |= settled_space(config.space, config.seed_losses)
    return config.model_copy(update=change)


def settled_space(space_name: str, seed_losses: Sequence[str]) -> dict[str, Any]:
    """What a search space and LOSS arguments of a configuration mean, written out.

    Raises:
        InputError: a name means nothing, or a seed loss cannot be searched from.
    """
    space = find_space(space_name)
    seeds = [load_argument(text).loss for text in seed_losses]
    for loss in seeds:
        space.derive(loss)
        if loss.needs:
            asked = f"it asks for {', '.join(loss.needs)}, and regularisers are not searched"
            raise InputError(f"--seed-loss {loss.name}: {asked}; seed a copy without its needs: line")
    return {"space": space.name, "space_text": space.text, "seed_losses": [print_loss(loss) for loss in seeds]}


def _settled(data: DataConfig) -> DataConfig:
    """The data with its paths made absolute, so that the run can be resumed from another folder."""
    name, root = data.name, data.root or os.environ.get("LOSSGEN_DATA")
    if Path(name).exists() and not name.isidentifier():
        name = str(Path(name).resolve())
    return data.model_copy(update={"name": name, "root": str(Path(root).resolve()) if root else None})


@contextmanager
def session_of(run: Run, workers: int | RayWorkers, listener: Listener) -> Iterator[Session]:
    """Start the workers of a run, as `workers_for` has them.

    Raises:
        InputError: the runner file or the data have changed since the run began, or the runner refuses.
    """
    config = run.config
    found = find_runner(config.runner)
    if found.digest != config.runner_digest:
        raise InputError(f"runner {found.path}: has changed since the run began; undo the change, or start a new run")
    for note in run.notes:
        listener.note(note)
    began = run.archive.meta("versions")
    if began is not None and began != versions():
        changed = ", ".join(sorted(name for name, now in versions().items() if began.get(name) != now))
        listener.note(f"versions have changed since the run began ({changed}): its record is no longer reproducible")
        run.archive.set_meta("reproducible", False)
    run.archive.set_meta("versions", began or versions())
    assignment = Assignment(str(found.path), found.digest, config.options, config.data.model_dump(), config.device)
    clock = Clock(run.archive.meta("profile", {}))
    with workers_for(workers, assignment, run.path / "logs") as pool:
        listener.preparing("loading the data and what judges the results")
        with clock.phase("start"):
            ready = pool.start()
        known = run.archive.meta("protocol")
        if known is not None and known != ready.protocol:
            differ = _changed(known, ready.protocol)
            how = "restore it, or start a new run"
            if "extractor" in differ:
                how = (
                    "one that was trained on another machine lies there in its cache folder: copy it to "
                    f"{cache_dir() / 'extractors'}, or start a new run"
                )
            raise InputError(f"run {run.path}: {', '.join(differ)} changed since it began; {how}")
        run.archive.set_meta("protocol", ready.protocol)
        run.archive.set_meta("objectives", ready.objectives)
        run.archive.set_meta("scale_free", ready.scale_free)
        yield Session(run, pool, ready, listener, clock)


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of what differs in a protocol; of files, their own."""
    names: list[str] = []
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            names += _changed(before.get(key) or {}, now.get(key) or {}) if key == "files" else [key]
    return names


def discover(session: Session, generated: Path, select: Select = select, vary: Vary = vary) -> Discovery:
    """Search, choose, verify. A run that is stopped on the way verifies what there is, and says that it is interim.

    Args:
        generated: folder that the champion's module is written to; a file of the same loss is left as it is.
        select, vary: see `Engine`.

    Raises:
        Stopped: the run was stopped before there was anything to verify.
    """
    run, archive = session.run, session.run.archive
    if run.config.rungs and not session.ready.counts_steps:
        raise InputError("--rungs: count steps, which this runner's trainings do not have; leave it out")
    if not session.ready.counts_steps:
        run.config = run.config.model_copy(update={"race": False})
    verify_seeds = run.config.verify_seeds
    forget_interim(archive)
    baselines = [Entry.of(load_argument(name).loss) for name in BASELINES]
    engine = engine_of(session, select, vary)
    conditions = len(session.aim.conditions)
    runners_up = RUNNERS_UP if conditions == 1 else 0
    plan = session.plan(baselines[0], (1 + len(baselines) + runners_up) * verify_seeds * conditions)
    session.listener.planned(plan)
    (SteadySearch if engine.steady else Search)(session, engine, plan).run()
    if plan.audit_trainings and not session.stopping:
        with session.clock.phase("simplify"):
            check_ahead(session, engine.ranking())
    audit(session, engine.trained, plan)
    session.end("audit")
    interim = session.take_stop()
    if interim and not engine.ranking():
        session.nothing_yet()

    with session.clock.phase("simplify"):
        finalists = choose_finalists(session, engine.ranking(), baselines, runners_up)
    contestants = list(finalists)
    contestants[1:1] = [Contestant(entry, "baseline") for entry in baselines]
    archive.set_meta("interim", interim)
    session.forecast.expect(len(contestants) * verify_seeds * conditions)
    stage = "interim" if interim else "verify"
    comparison = compare(session, stage, contestants, verify_seeds, plan.steps, objective=session.aim)
    if session.stopped and not any(result.outcomes for result in comparison.results):
        session.nothing_yet()
    comparison = dataclasses.replace(comparison, interim=interim or comparison.interim)
    champions = comparison.of("champion")
    champion = champions[0] if champions else None
    verdict = judge(comparison, champion) if champion else None
    file = write_found(finalists[0].entry, generated) if finalists else None
    archive.set_meta("champion_file", str(file.absolute()) if file else None)
    finish(session, comparison, verdict)
    return Discovery(comparison, champion, verdict, file, plan)


def write_found(entry: Entry, generated: Path) -> Path:
    """Write a found loss's module as evolved_<hash>.py; a file of the same loss, or of another, is left as it is.

    Raises:
        InputError: the folder cannot be written.
    """
    path = generated / f"evolved_{entry.digest[:8]}.py"
    if path.exists():
        if body_of(path.read_text(encoding="utf-8", errors="replace")) == body_of(entry.source):
            return path
        path = generated / f"evolved_{entry.digest}.py"  # the short name is taken by something else
    try:
        generated.mkdir(parents=True, exist_ok=True)
        sweep(generated, "evolved_*.py")
        write_text(path, entry.source)
    except (OSError, InputError):
        raise InputError(
            f"--generated {generated}: cannot be written; the run is kept, go on with --resume and another --generated"
        ) from None
    return path
