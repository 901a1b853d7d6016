"""`show --lineage`: the story, the picture and the files of a run that somebody made."""

import json
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest

from lossgen.evolution.archive import Archive, CandidateRow, OutcomeKey
from lossgen.evolution.config import RunConfig
from lossgen.evolution.run import create_run
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.runner import Outcome

Call = Callable[..., tuple[int, str, str]]


def found(text: str) -> Loss:
    loss = parse_loss(text)
    return loss.renamed(f"Evolved_{loss.digest()[:8]}")


PARENT, CHILD, OTHER = map(found, ("log(y_pred) * y_real", "log(y_pred) / y_real", "square(y_pred)"))
SIMPLE = found("log(y_pred)")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with create_run(tmp_path / "run", RunConfig(kind="evolve")) as made:
        archive = made.archive
        archive.set_meta("objectives", {"distance": "min"})
        _add(archive, (0, 0), PARENT, "fresh", 3.0)
        _add(archive, (0, 1), OTHER, "fresh", 4.0)
        _add(archive, (1, 5), CHILD, "point", 1.5, PARENT.digest())
        archive.set_meta(f"simplified {CHILD.digest()}", print_loss(SIMPLE))
        result = {
            "part": "champion",
            "name": SIMPLE.name,
            "loss": print_loss(SIMPLE),
            "mean": 2.0,
            "std": 0.5,
            "seeds": 6,
        }
        verdict = {"champion": SIMPLE.name, "finding": "worse", "sentence": "It is level."}
        record = {"metric": "distance", "steps": 10, "results": [result], "verdict": verdict}
        archive.set_meta("result", record)
        archive.set_meta("finished", True)
    return tmp_path / "run"


def _add(archive: Archive, place: tuple[int, int], loss: Loss, origin: str, value: float, *parents: str) -> None:
    row = (*place, print_loss(loss), loss.size, loss.digest(), loss.digest(), "trained", "", origin, parents)
    archive.add_candidates([CandidateRow(*row)])
    key = OutcomeKey("search", loss.digest(), 0, 10)
    archive.add_outcome(key, loss.name, Outcome("ok", {"distance": value}, step=10))


@pytest.mark.parametrize("how", ["champion", SIMPLE.name, CHILD.digest()[:12]])
def test_the_story_is_told_by_any_name(call: Call, run: Path, how: str) -> None:
    code, out, err = call("show", run, "--lineage", how)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith(
        f"{CHILD.name} (champion, simplified to {SIMPLE.name}) comes from 1 loss in 1"
    )
    steps = [line.split() for line in out.splitlines()[3:5]]
    assert steps[0][:4] == ["0", PARENT.digest()[:8], "fresh", "3"]
    assert steps[1][:7] == ["1", CHILD.digest()[:8], "point", PARENT.digest()[:8], "3", "→", "1.5"]
    assert "log(y_pred) * y_real → log(y_pred) / y_real" in out
    assert OTHER.digest()[:8] not in out
    assert out.splitlines()[-1] == "It is level."


def test_as_json_with_files_beside_it(call: Call, run: Path, tmp_path: Path) -> None:
    files = ["--plot", "a.svg", "--graphml", "a.graphml"]
    code, out, err = call("show", run, "--lineage", "champion", "--json", *files)
    assert code == 0
    record = json.loads(out)
    assert [node["name"] for node in record["nodes"]] == [PARENT.name, CHILD.name]
    assert record["edges"] == [{"parent": PARENT.digest(), "child": CHILD.digest(), "operator": "point", "place": 0}]
    assert err.splitlines() == ["plot: a.svg", "graphml: a.graphml"]
    assert (tmp_path / "a.svg").stat().st_size > 1000
    assert set(nx.read_graphml(tmp_path / "a.graphml")) == {PARENT.digest(), CHILD.digest()}


def test_without_a_loss_the_champion_is_drawn_and_the_whole_run_written(call: Call, run: Path, tmp_path: Path) -> None:
    code, out, _ = call("show", run, "--plot", "a.svg", "--graphml", "a.graphml")
    assert code == 0 and out.splitlines()[-3:] == ["It is level.", "plot: a.svg", "graphml: a.graphml"]
    drawn = (tmp_path / "a.svg").read_text()
    assert CHILD.digest()[:8] in drawn and OTHER.digest()[:8] not in drawn
    assert len(nx.read_graphml(tmp_path / "a.graphml")) == 3


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--lineage", "hinge"], "--lineage hinge: is no loss of a search"),
        (["--lineage", ""], "--lineage : is no loss of a search"),
        (["--lineage", "champion", "--csv"], "not both"),
        (["--lineage", "champion", "--plot", "a.jpg"], "must end in .png, .svg or .pdf"),
        (["--plot", "nowhere/a.png"], "the folder nowhere does not exist"),
        (["--graphml", "nowhere/a.graphml"], "the folder nowhere does not exist"),
        (["--graphml", "folder"], "folder: cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    call: Call, run: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    (tmp_path / "folder").mkdir()
    code, out, err = call("show", run, *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
