"""The search of a run: the engine asks, the session trains, the engine is told; then the best one's constants are
polished."""

from collections.abc import Sequence

import numpy as np

from lossgen.evolution.candidate import Candidate
from lossgen.evolution.engine import MOST_PROPOSALS, Engine
from lossgen.evolution.entry import Entry
from lossgen.evolution.events import Plan
from lossgen.evolution.hall_of_fame import HallOfFame
from lossgen.evolution.polish import Polish
from lossgen.evolution.selection import Select, select
from lossgen.evolution.session import Session
from lossgen.evolution.space_reader import read_space
from lossgen.evolution.variation import Vary, vary
from lossgen.kernel.screen import Rejection
from lossgen.language.parser import parse_loss
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
        check=check,
        faults=faults,
        record=archive.add_candidates,
        max_candidates=config.max_candidates,
    )


class Search:
    """One search. After a resume the same calls end with the same results, without training anything again."""

    def __init__(self, session: Session, engine: Engine, plan: Plan) -> None:
        self.session = session
        self.engine = engine
        self.plan = plan
        self.hall = HallOfFame(session.run.path / "hall_of_fame.csv", session.objective, session.direction)

    def run(self) -> None:
        """Search to the end of the budget, then polish."""
        self._search()
        self.session.end("search")
        self._polish()
        self.session.end("polish")

    def _search(self) -> None:
        session, engine, plan = self.session, self.engine, self.plan
        seeds, most = session.run.config.seeds, plan.most
        generations = None if most is None else -(-most // (engine.size * seeds))
        trainings = 0
        while most is None or trainings + seeds <= most:
            if session.stopping:
                return
            wanted = engine.size if most is None else min(engine.size, (most - trainings) // seeds)
            with session.clock.phase("propose"):
                candidates = engine.ask(wanted)
            self._expect(candidates, trainings)
            session.listener.proposed(engine.generation - 1, generations, session.run.archive.waterfall())
            trained = self._train("search", candidates, plan.polish_trainings + plan.audit_trainings)
            trainings += seeds * trained
            if trained < len(candidates):
                if not session.stopping:
                    session.listener.note("the time for the search is up")
                return
            if len(candidates) < wanted:
                if not engine.exhausted:
                    session.listener.note(
                        f"no more new losses in the space {engine.space.name} after {MOST_PROPOSALS} proposals"
                    )
                return

    def _expect(self, candidates: Sequence[Candidate], trainings: int) -> None:
        """Correct the forecast, before candidates are trained, by what has been trained of what was proposed."""
        engine, plan, seeds = self.engine, self.plan, self.session.run.config.seeds
        trainings += len(candidates) * seeds
        search = (plan.search_trainings if plan.most is None else plan.most) - trainings
        if engine.max_candidates is not None:
            in_proposals = int(trainings / engine.proposed * (engine.max_candidates - engine.proposed))
            search = in_proposals if plan.most is None else min(search, in_proposals)
        others = plan.polish_trainings + plan.audit_trainings + plan.verify_trainings
        self.session.forecast.expect(len(candidates) * seeds + max(search, 0) + others)

    def _train(self, stage: str, candidates: Sequence[Candidate], others: int) -> int:
        """Train candidates and tell the engine; how many were trained on all seeds.

        Args:
            others: trainings that are to follow before verification.
        """
        session, seeds = self.session, self.session.run.config.seeds
        by_digest = {candidate.digest: candidate for candidate in candidates}

        def told(entry: Entry, outcomes: Sequence[Outcome]) -> None:
            self.hall.add(by_digest[entry.digest], outcomes)
            self.hall.write()

        entries = [candidate.entry for candidate in candidates]
        reserve = self.plan.verify_trainings + others
        outcomes = session.train(stage, entries, seeds, self.plan.steps, reserve=reserve, told=told)
        found = [outcomes[candidate.digest] for candidate in candidates]
        with session.clock.phase("select"):
            values = [session.values(each) if len(each) == seeds else None for each in found]
            self.engine.tell(candidates, values, "the run was stopped" if session.stopping else "the time was up")
        return len(values) - values.count(None)

    def _polish(self) -> None:
        """Tune the constants of the best loss by CMA-ES; what comes of it competes with all the others."""
        session, ranking = self.session, self.engine.ranking()
        budget = self.plan.polish_trainings // session.run.config.seeds
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
        while not polish.done and not session.stopping:
            with session.clock.phase("propose"):
                offered = self.engine.offer(polish.ask(), "polish", best.entry.digest)
            candidates = list({each.digest: each for each in offered if isinstance(each, Candidate)}.values())
            session.forecast.expect((len(candidates) + polish.left) * session.run.config.seeds + after)
            if self._train("polish", candidates, self.plan.audit_trainings) < len(candidates):
                return
            fitness = {individual.entry.digest: individual.fitness for individual in self.engine.trained}
            polish.tell([fitness[each.digest] if isinstance(each, Candidate) else each for each in offered])
