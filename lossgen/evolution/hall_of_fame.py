"""hall_of_fame.csv: the best losses found so far, readable while the run goes on."""

import csv
import os
from pathlib import Path

from lossgen.evolution.archive import Archive
from lossgen.language.printer import formula
from lossgen.runner import Direction

SHOWN = 50


def search_fitness(archive: Archive, objective: str) -> dict[str, tuple[float, int]]:
    """Mean of the objective and number of replicates, by digest; without losses of which a training failed."""
    values: dict[str, list[float]] = {}
    failed: set[str] = set()
    for key, _, outcome in archive.outcomes("search"):
        if outcome.status == "ok":
            values.setdefault(key.digest, []).append(outcome.metrics[objective])
        else:
            failed.add(key.digest)
    return {digest: (sum(v) / len(v), len(v)) for digest, v in values.items() if digest not in failed}


def write_hall_of_fame(archive: Archive, objective: str, direction: Direction, path: Path) -> None:
    """Write the best trained candidates, best first: rank, mean of the objective, size, replicates, loss."""
    rows = {row.digest: row for row in archive.candidates() if row.fate == "trained"}
    found = {digest: fitness for digest, fitness in search_fitness(archive, objective).items() if digest in rows}
    means = {digest: mean for digest, (mean, _) in found.items()}
    order = sorted(means, key=lambda d: (means[d] if direction == "min" else -means[d], rows[d].size, d))
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["rank", objective, "size", "replicates", "generation", "loss"])
        for rank, digest in enumerate(order[:SHOWN], 1):
            row = rows[digest]
            text = formula(row.loss)
            table.writerow([rank, repr(means[digest]), row.size, found[digest][1], row.generation, text])
    try:
        temporary.replace(path)
    except PermissionError:  # on Windows, while somebody has the file open: the next training writes it again
        temporary.unlink()
