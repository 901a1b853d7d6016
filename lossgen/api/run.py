"""A run, looked at: by whom it was made, from Python or on the command line, makes no difference."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossgen.codegen.load import load_source, read_emitted
from lossgen.codegen.torch_module import body_of, emit_torch
from lossgen.errors import InputError
from lossgen.evolution import run as runs
from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey
from lossgen.evolution.audit import Audit, audit_of
from lossgen.evolution.calibrating import calibration_in
from lossgen.evolution.calibration import Calibration
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.config import RunConfig, read_config
from lossgen.evolution.hall_of_fame import HallRow, hall_of
from lossgen.evolution.results import comparison_of, verdict_of
from lossgen.evolution.verdict import Verdict
from lossgen.files import without_nan
from lossgen.language.parser import parse_loss
from lossgen.report.tables import show_lines
from lossgen.runner import Outcome

if TYPE_CHECKING:
    import networkx as nx
    from torch import nn


class Run:
    """What stands in a run's folder.

    Each attribute is read anew when it is asked for, so a run can be watched while it goes on, and no file stays open
    afterwards. Keep what is asked for often.

    Attributes:
        path: its folder, absolute.
        config: what it was asked to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.config: RunConfig = read_config(self.path / runs.CONFIG)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether all that was asked for is done; if not, `evolve(resume=run.path)` goes on."""
        return bool(self._meta("finished", False))

    @property
    def reproducible(self) -> bool:
        """Whether the same call gives the same record: not with time limits, timeouts or an outcome cache."""
        return bool(self._meta("reproducible", True))

    @property
    def comparison(self) -> Comparison | None:
        """Losses on the same seeds: in a search champion, baselines and runners-up; None before anything was compared.

        It is interim where the run was stopped.
        """
        with self._archive() as archive:
            return comparison_of(archive)

    @property
    def champion(self) -> Result | None:
        """The loss that a search has named, with its fresh seeds; None where there is none."""
        comparison = self.comparison
        return next(iter(comparison.of("champion")), None) if comparison else None

    @property
    def verdict(self) -> Verdict | None:
        """Of the champion against the best baseline."""
        with self._archive() as archive:
            return verdict_of(archive)

    @property
    def champion_file(self) -> Path | None:
        """Where the champion's module was written; nobody keeps it from being moved, and `criterion` needs no file."""
        file = self._meta("champion_file")
        return Path(file) if file and self.champion else None

    def criterion(self, name: str | None = None, trust: bool = False) -> "nn.Module":
        """The live module of a loss, on the CPU: `criterion(score, target)`, `.discriminator_loss`, `.generator_loss`.

        Args:
            name: of a loss of the comparison; without it, the champion.
            trust: run code that is not what lossgen would write, if the run was made with such (`compare --trust`).

        Raises:
            InputError: no such loss, or its code is somebody's own.
        """
        comparison = self.comparison
        results = list(comparison.results) if comparison else []
        found = [result for result in results if result.name == name or (name is None and result.part == "champion")]
        if not found:
            what = "has no champion" if name is None else f"has no loss {name}"
            there = f"it has compared: {', '.join(result.name for result in results) or 'nothing yet'}"
            raise InputError(f"run {self.path}: {what}; {there}")
        emitted = emit_torch(parse_loss(found[0].loss))
        for source in self.config.losses:
            if read_emitted(source, runs.CONFIG).name == found[0].name and body_of(source) != body_of(emitted):
                if not trust:
                    raise InputError(
                        f"run {self.path}: the code of {found[0].name} is not lossgen's; trust=True runs it"
                    )
                return load_source(source)
        return load_source(emitted)

    def calibration(self, beside: Sequence[str | Path] = ()) -> Calibration | None:
        """What a calibration says; None of another run, or before all trainings have come to the first budget.

        Args:
            beside: runs of other calibrations, to see how this one foretells their ends.
        """
        with runs.open_run(self.path, locked=False) as opened:
            return calibration_in(opened, [str(name) for name in beside])

    @property
    def hall_of_fame(self) -> list[HallRow]:
        """The best loss of each size in the search, the smallest first."""
        with self._archive() as archive:
            return hall_of(archive)

    @property
    def candidates(self) -> list[CandidateRow]:
        """All proposals of the search in order, each with its fate."""
        with self._archive() as archive:
            return archive.candidates()

    @property
    def outcomes(self) -> list[tuple[OutcomeKey, str, Outcome]]:
        """All trainings: of what, the loss's name, what came of it."""
        with self._archive() as archive:
            return archive.outcomes()

    @property
    def waterfall(self) -> Mapping[str, int]:
        """How many candidates came how far, by fate."""
        with self._archive() as archive:
            return archive.waterfall()

    @property
    def audit(self) -> Audit | None:
        """How often the screen was wrong to reject; None where that was not tried."""
        with self._archive() as archive:
            return audit_of(archive)

    def record(self) -> dict[str, Any]:
        """What `lossgen show RUN --json` prints: equal for equal runs."""
        with runs.open_run(self.path, locked=False) as opened:
            record: dict[str, Any] = without_nan(opened.record())
            return record

    def report(self, path: str | Path | None = None) -> Path:
        """Write report.html as the run is now, and return its path: what `lossgen report RUN` does.

        Args:
            path: of the file; by default in the run's folder.

        Raises:
            InputError: it cannot be written.
        """
        from lossgen.report.html import write_report

        with runs.open_run(self.path, locked=False) as opened:
            return write_report(opened, Path(path) if path is not None else None)

    def lineage(self) -> "nx.DiGraph[str]":
        """Which losses came from which: see `evolution.lineage.lineage`."""
        from lossgen.evolution.lineage import lineage

        with self._archive() as archive:
            return lineage(archive)

    def __repr__(self) -> str:
        """What `lossgen show RUN` prints."""
        try:
            with runs.open_run(self.path, locked=False) as opened:
                return "\n".join(show_lines(opened))
        except InputError as error:  # a run that is gone can still be named
            return str(error)

    def _meta(self, key: str, default: Any = None) -> Any:
        with self._archive() as archive:
            return archive.meta(key, default)

    @contextmanager
    def _archive(self) -> Iterator[Archive]:
        with runs.open_run(self.path, locked=False) as opened:
            yield opened.archive
