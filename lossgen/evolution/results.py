"""What a run came to, read from its archive: as it was when it ended, or was last interrupted."""

from lossgen.evolution.archive import Archive
from lossgen.evolution.compare import Comparison, Result
from lossgen.evolution.conditions import condition_text
from lossgen.evolution.searched import objective_of
from lossgen.evolution.verdict import Verdict
from lossgen.language.parser import parse_loss
from lossgen.runner import Direction, Outcome
from lossgen.stats import summarise


def comparison_of(archive: Archive) -> Comparison | None:
    """The losses that were trained on the same seeds, with their outcomes; None before that."""
    record = archive.meta("result")
    if not record:
        return None
    direction: Direction = next(iter(archive.meta("objectives").values()))
    stages = ("interim",) if archive.meta("interim", False) else ("verify", "compare")
    objective = objective_of(archive)
    trained: dict[tuple[str, str], dict[int, Outcome]] = {}
    digests: dict[tuple[str, str], str] = {}
    for key, name, outcome in (found for stage in stages for found in archive.outcomes(stage)):
        if not record["steps"] or key.steps == record["steps"]:
            row_of = name, objective.apart_from(key.condition)  # in one comparison no two losses are called the same
            trained.setdefault(row_of, {})[key.replicate] = outcome
            digests.setdefault(row_of, key.digest)
    results = []
    for row in record["results"]:
        row_of = row["name"], condition_text(row.get("condition", {}))
        digest = digests.get(row_of) or parse_loss(row["loss"]).digest()
        values, outcomes = row["values"], objective.by_seed(trained.get(row_of, {}))
        summary = summarise(values, direction == "min") if values else None
        known = (row["name"], row["part"], row["loss"], digest)
        how = (row["needs"], row["given"], row.get("rates", ""), row_of[1])
        results.append(Result(*known, outcomes, values, summary, *how))
    return Comparison(record["metric"], direction, results, record["steps"], record["interim"])


def verdict_of(archive: Archive) -> Verdict | None:
    """The test of the champion against the hardest baseline; None before it, or where there is nothing to test."""
    record = archive.meta("result")
    return Verdict(**record["verdict"]) if record and record["verdict"] else None
