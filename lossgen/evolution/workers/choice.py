"""Where a run's trainings are made: in worker processes, on a Ray cluster, or in the process of the run."""

from pathlib import Path

from lossgen.devices import default_workers
from lossgen.evolution.workers.cluster import Cluster
from lossgen.evolution.workers.here import Here
from lossgen.evolution.workers.messages import Assignment
from lossgen.evolution.workers.pool import Pool
from lossgen.settings import RayWorkers

Workers = Pool | Here | Cluster


def workers_for(asked: int | RayWorkers, assignment: Assignment, logs: Path) -> Workers:
    """The workers that are asked for, to be used as a context manager.

    Args:
        asked: a number of processes, 0 for none but this one, or a Ray cluster.

    Raises:
        InputError: Ray is asked for, and not installed.
    """
    if isinstance(asked, RayWorkers):
        return Cluster(assignment, logs, asked, max(1, default_workers("cpu")))
    return Pool(assignment, asked, logs) if asked else Here(assignment, logs)
