"""hall_of_fame.csv: the best losses found so far, readable while the run goes on."""

import csv
import os
from pathlib import Path

from lossgen.evolution.archive import Archive
from lossgen.language.printer import formula
from lossgen.runner import Direction

SHOWN = 50


def write_hall_of_fame(archive: Archive, objective: str, direction: Direction, path: Path) -> None:
    """Write the best trained candidates, best first: rank, mean of the objective, size, replicates, loss."""
    rows = {row.digest: row for row in archive.candidates() if row.fate == "trained"}
    values: dict[str, list[float]] = {}
    failed: set[str] = set()
    for key, _, outcome in archive.outcomes("search"):
        if outcome.status == "ok":
            values.setdefault(key.digest, []).append(outcome.metrics[objective])
        else:
            failed.add(key.digest)
    means = {d: sum(v) / len(v) for d, v in values.items() if d not in failed and d in rows}
    order = sorted(means, key=lambda d: (means[d] if direction == "min" else -means[d], rows[d].size, d))
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["rank", objective, "size", "replicates", "generation", "loss"])
        for rank, digest in enumerate(order[:SHOWN], 1):
            row = rows[digest]
            text = formula(row.loss)
            table.writerow([rank, repr(means[digest]), row.size, len(values[digest]), row.generation, text])
    temporary.replace(path)
