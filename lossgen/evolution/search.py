"""The search of a run: the engine asks, what it asks for races, the engine is told; then the best one's constants are
polished."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from lossgen.evolution.admission import check_here
from lossgen.evolution.archive import OutcomeKey
from lossgen.evolution.batch import Job, Keep, forget_files
from lossgen.evolution.candidate import Candidate
from lossgen.evolution.engine import MOST_PROPOSALS, Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Plan
from lossgen.evolution.hall_of_fame import HallOfFame
from lossgen.evolution.planner import generations_asked
from lossgen.evolution.polish import Polish
from lossgen.evolution.racing import FORETOLD, Race, Raced, Rung
from lossgen.evolution.searched import keep_objective
from lossgen.evolution.selection import Select, select
from lossgen.evolution.session import CONTINUES, Session
from lossgen.evolution.space_reader import read_space
from lossgen.evolution.variation import Vary, vary
from lossgen.kernel.screen import Rejection
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome

POLISH = 1
"""Purpose of a random stream, beside the engine's own."""


def engine_of(session: Session, select: Select = select, vary: Vary = vary) -> Engine:
    """The engine of a run, which writes to its archive and has modules checked by its workers."""
    config, archive = session.run.config, session.run.archive
    ill = f"{Rejection.ILL_CONDITIONED}:"
    faults = {
        row.digest: row.reason if row.fate == "rejected" else ""
        for row in archive.candidates()
        if row.fate in ("trained", "untrained") or row.reason.startswith(ill)
    }

    def check(entries: Sequence[Entry]) -> dict[str, str]:
        found = session.check(entries)
        return {  # whatever else a check came to, its training will tell
            digest: outcome.reason if outcome.reason.startswith(ill) else "" for digest, outcome in found.items()
        }

    return Engine(
        read_space(config.space_text, config.space, config.space),
        config.population,
        config.seed,
        [parse_loss(text) for text in config.seed_losses],
        scale_free=session.ready.scale_free,
        select=select,
        vary=vary,
        check=check_here if config.mode == "steady" else check,
        faults=faults,
        record=archive.add_candidates,
        max_candidates=config.max_candidates,
        fitness=session.aim.fitness,
        spread=session.aim.spread,
        steady=config.mode == "steady",
    )


class Search:
    """One search. After a resume the same calls end with the same results, without training anything again."""

    def __init__(self, session: Session, engine: Engine, plan: Plan) -> None:
        config, archive = session.run.config, session.run.archive
        self.session = session
        self.engine = engine
        self.plan = plan
        rungs = [Rung(*rung) for rung in config.rungs_at(plan.steps)]
        self.race = Race(rungs, session.aim, config.seed, archive.meta(CONTINUES, True))
        self._best = ""
        self.hall = HallOfFame(session.run.path / "hall_of_fame.csv", session.aim)
        keep_objective(archive, session.aim, self.race.top.steps, self.race.top.replicates)

    def run(self) -> None:
        """Search to the end of the budget, then polish."""
        self._search()
        self.session.end("search")
        self._polish()
        self.session.end("polish")
        if not self.session.stopping:
            self._forget_all()

    def _search(self) -> None:
        session, engine, plan, race = self.session, self.engine, self.plan, self.race
        most = None if plan.most is None else plan.most * plan.steps
        config = session.run.config
        limit = generations_asked(config)
        if config.races and limit is not None and not (config.max_trainings or config.max_steps):
            most = None  # what a rung costs that is dropped is not known beforehand; the generations are counted
        generations = limit or (None if most is None else -(-most // race.cost(engine.size)))
        while (most is None or race.spent + race.cost(1) <= most) and (limit is None or engine.generation < limit):
            if session.stopping:
                return
            wanted = engine.size if most is None else race.room(most - race.spent, engine.size)
            with session.clock.phase("propose"):
                candidates = engine.ask(wanted)
            self._expect(candidates)
            session.listener.proposed(engine.generation - 1, generations, session.run.archive.waterfall())
            whole = self._race(candidates)
            if not whole:
                if not session.stopping:
                    session.listener.note("the time for the search is up")
                return
            if len(candidates) < wanted:
                if not engine.exhausted:
                    session.listener.note(
                        f"no more new losses in the space {engine.space.name} after {MOST_PROPOSALS} proposals"
                    )
                return

    def _expect(self, candidates: Sequence[Candidate]) -> None:
        """Correct the forecast, before candidates are trained, by what has been trained of what was proposed."""
        engine, plan, race = self.engine, self.plan, self.race
        now = race.cost(len(candidates)) / plan.steps
        trainings = race.spent / plan.steps + now
        search = (plan.search_trainings if plan.most is None else plan.most) - trainings
        if engine.max_candidates is not None:
            in_proposals = trainings / engine.proposed * (engine.max_candidates - engine.proposed)
            search = in_proposals if plan.most is None else min(search, in_proposals)
        others = plan.polish_trainings + plan.audit_trainings + plan.verify_trainings
        self.session.forecast.expect(now + max(search, 0) + others)

    def _race(self, candidates: Sequence[Candidate]) -> bool:
        """Race the candidates of a generation and tell the engine; whether none was cut short."""
        dropped = set(self.race.dropped)
        trainer = self._trainer("search", candidates, self.plan.polish_trainings + self.plan.audit_trainings)
        raced = self.race.run(self.engine.generation - 1, [candidate.entry for candidate in candidates], trainer)
        self._keep_foretold(dropped)
        self._tell(candidates, raced)
        return trainer.whole

    def _keep_foretold(self, dropped: Collection[Rung]) -> None:
        """Write down how well rungs have foretold so far, and say which are left out that were not among these."""
        foretold = self.race.foretold()
        for each in foretold:
            if each.dropped is not None and each.rung not in dropped:
                self.session.listener.note(
                    f"rung {each.rung} does not foretell {each.following} (rank correlation {each.of_control[0]:.2f} "
                    f"over {each.control} losses that were drawn at random): it is left out from here on"
                )
        if foretold:
            self.session.run.archive.set_meta(FORETOLD, [each.as_json() for each in foretold])

    def _trainer(self, stage: str, candidates: Sequence[Candidate], others: int) -> "_Trainer":
        """Who trains candidates.

        Args:
            others: trainings that are to follow before verification.
        """
        return _Trainer(self.session, stage, candidates, self.race, self.hall, self.plan.verify_trainings + others)

    def _tell(self, candidates: Sequence[Candidate], raced: Sequence[Raced]) -> None:
        why = "the run was stopped" if self.session.stopping else "the time was up"
        with self.session.clock.phase("select"):
            values = [each.values for each in raced]
            self.engine.tell(candidates, values, why, [each.short for each in raced])
        self._tell_best()

    def _tell_best(self) -> None:
        """Say so where the best is another one."""
        best = self.engine.best
        if best and not best.short and math.isfinite(best.fitness) and best.entry.digest != self._best:
            self._best = best.entry.digest
            shown = self.session.aim.shown(best.fitness)
            self.session.listener.improved(best.candidate.name, print_loss(best.entry.loss), shown)

    def _forget_all(self) -> None:
        """Delete states that are left where the time was up within a race."""
        archive = self.session.run.archive
        for key, _, outcome in archive.outcomes("search"):
            if outcome.files:
                forget_files(archive, key)

    def _polish(self) -> None:
        """Tune the constants of the best loss by CMA-ES; what comes of it competes with all the others."""
        session, ranking, top = self.session, self.engine.ranking(), self.race.top
        budget = self.plan.polish_trainings // top.replicates
        if not (budget and ranking) or session.stopping:
            return
        best = ranking[0]
        after = self.plan.audit_trainings + self.plan.verify_trainings
        sequence = np.random.SeedSequence(session.run.config.seed, spawn_key=(0, 0, POLISH))
        polish = Polish(self.engine.space, best.derivation, np.random.default_rng(sequence), budget)
        if not polish.constants:
            session.forecast.expect(after)
            session.listener.note(f"{best.candidate.name} has no constants to be polished")
            return
        alone = Race([top], session.aim, session.run.config.seed)
        while not polish.done and not session.stopping:
            with session.clock.phase("propose"):
                offered = self.engine.offer(polish.ask(), "polish", best.entry.digest)
            candidates = list({each.digest: each for each in offered if isinstance(each, Candidate)}.values())
            session.forecast.expect((len(candidates) + polish.left) * top.replicates + after)
            trainer = self._trainer("polish", candidates, self.plan.audit_trainings)
            self._tell(candidates, alone.run(0, [candidate.entry for candidate in candidates], trainer))
            if not trainer.whole:
                return
            fitness = {individual.entry.digest: individual.fitness for individual in self.engine.trained}
            polish.tell([fitness[each.digest] if isinstance(each, Candidate) else each for each in offered])


class _Trainer:
    """Trains candidates in a session, and keeps the hall of fame of those that go the whole way.

    Attributes:
        whole: whether all that was asked for was trained.
    """

    def __init__(
        self, session: Session, stage: str, candidates: Sequence[Candidate], race: Race, hall: HallOfFame, reserve: int
    ) -> None:
        self.session = session
        self.stage = stage
        self.race = race
        self.hall = hall
        self.reserve = reserve
        self.whole = True
        self._by_digest = {candidate.digest: candidate for candidate in candidates}
        self._found: dict[str, dict[int, Outcome]] = {}  # of the last rung

    def train(self, jobs: Sequence[Job], steps: int, keep: Keep) -> Mapping[tuple[str, int], Outcome]:
        """As `racing.Trainer` has it."""
        top = self.race.top
        last = (steps, 1 + max(job.replicate for job in jobs)) == (top.steps, top.replicates)

        def told(job: Job, outcome: Outcome) -> None:
            of = self._found.setdefault(job.entry.digest, {})
            of[job.replicate] = outcome
            if last and len(of) == top.replicates:
                self.hall.add(self._by_digest[job.entry.digest], [of[replicate] for replicate in sorted(of)])
                self.hall.write()

        self._found = {}
        found = self.session.train_jobs(self.stage, jobs, steps, keep, self.reserve, told)
        self.whole = self.whole and len(found) == len(jobs)
        return found

    def forget(self, jobs: Sequence[Job], steps: int) -> None:
        """As `racing.Trainer` has it."""
        archive = self.session.run.archive
        with archive.together():
            for job in jobs:
                entry = job.entry
                key = OutcomeKey(self.stage, entry.digest, job.replicate, steps, entry.condition)
                forget_files(archive, key)
