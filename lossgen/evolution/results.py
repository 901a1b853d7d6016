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
    conditions = len(objective.conditions)
    trained: dict[tuple[str, str], list[tuple[str, Outcome]]] = {}
    parts: dict[tuple[str, str, int], dict[int, Outcome]] = {}  # of a seed that was trained under several conditions
    for key, name, outcome in (found for stage in stages for found in archive.outcomes(stage)):
        if record["steps"] and key.steps != record["steps"]:
            continue
        if conditions == 1:
            trained.setdefault((name, key.condition), []).append((key.digest, outcome))
        else:
            seed = (name, key.digest, key.replicate // conditions)
            parts.setdefault(seed, {})[key.replicate] = outcome
    for (name, digest, _), by_replicate in sorted(parts.items(), key=lambda item: item[0][2]):
        if len(by_replicate) == conditions:
            outcomes = [by_replicate[replicate] for replicate in sorted(by_replicate)]
            trained.setdefault((name, ""), []).append((digest, objective.combined(outcomes)))
    results = []
    for row in record["results"]:
        condition = condition_text(row.get("condition", {}))
        group = trained.get((row["name"], condition), [])  # in one comparison no two losses are called the same
        digest = group[0][0] if group else parse_loss(row["loss"]).digest()
        values, outcomes = row["values"], [outcome for _, outcome in group]
        summary = summarise(values, direction == "min") if values else None
        known = (row["name"], row["part"], row["loss"], digest)
        how = (row["needs"], row["given"], row.get("rates", ""), condition)
        results.append(Result(*known, outcomes, values, summary, *how))
    return Comparison(record["metric"], direction, results, record["steps"], record["interim"])


def verdict_of(archive: Archive) -> Verdict | None:
    """The test of the champion against the best baseline; None before it, or where there is nothing to test."""
    record = archive.meta("result")
    return Verdict(**record["verdict"]) if record and record["verdict"] else None
