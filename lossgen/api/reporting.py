"""`lossgen report`: the page of whatever a folder holds."""

from pathlib import Path

from lossgen.errors import InputError
from lossgen.evolution.run import CONFIG, find_run, open_run
from lossgen.report.html import write_ladder_report, write_report
from lossgen.report.ladder import JSON


def write(name: str, out: Path | None = None) -> Path:
    """Write the report of a run or a ladder.

    Args:
        name: a folder, or a prefix of its name under ./runs.
        out: the file; by default report.html in the folder.

    Raises:
        InputError: there is no such run, or the file cannot be written.
    """
    if out is not None:
        if out.is_dir():
            raise InputError(f"--out {out}: is a folder; give a file, such as {out / 'report.html'}")
        if not out.absolute().parent.is_dir():
            raise InputError(f"--out {out}: there is no folder {out.absolute().parent}; make it first")
    folder = find_run(name, (CONFIG, JSON))
    if (folder / JSON).is_file():
        return write_ladder_report(folder, out)
    with open_run(folder, locked=False) as run:
        return write_report(run, out)
