"""lossgen verify: the whole ladder, on a runner that trains nothing, and one rung of it on real models."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lossgen
from lossgen.cli import cli
from lossgen.errors import InputError
from lossgen.evolution.ladder import RUNGS, Ladder

CLIMBING = Path(__file__).with_name("climbing_runner.py")
GOOD = "loss Good(y_real, y_pred) = square(y_pred - y_real)"
SMALL: dict[str, Any] = {
    "runner": CLIMBING, "steps": 10, "seeds": 4, "tune_seeds": 1, "grid": [(3e-3, 3e-3), (1e-3, 1e-3)], "workers": 0,
    "quiet": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def climbed(**more: Any) -> Ladder:
    return lossgen.verify(GOOD, ladder=True, verify_on=["other"], **{**SMALL, "out": "ladder", **more})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ladder, Path]:
    path = tmp_path_factory.mktemp("whole")
    return climbed(out=path / "ladder", marks=str(path / "marks")), path


def test_a_good_loss_climbs_to_the_top_and_all_is_written_down(whole: tuple[Ladder, Path]) -> None:
    ladder, path = whole
    assert [step.rung for step in ladder.steps] == ["fresh", "tuned", "plateau", "judge", "wide", "data"]
    assert ladder.steps[3].why_not == "the runner keeps no models that could be judged again"
    assert ladder.headline("Good") == f"Good {RUNGS['data'][1]}: the highest rung that was tried."
    kept = json.loads((path / "ladder/ladder.json").read_text())
    assert kept["losses"] == [{"name": "Good", "highest": "data", "headline": ladder.headline("Good")}]
    markdown = (path / "ladder/ladder.md").read_text()
    assert ladder.headline("Good") in markdown and "## Twice the width" in markdown
    folders = {found.parent.name for found in (path / "ladder").glob("*/run.toml")}
    assert folders == {"fresh", "tuned", "plateau", "wide-none", "wide-batch", "data-other"}


def test_a_rung_has_its_steps_width_and_data(whole: tuple[Ladder, Path]) -> None:
    marks = (whole[1] / "marks").read_text().splitlines()
    lines = {line.partition(" ")[2] for line in marks if line.startswith("Good")}
    assert {"10 16 none digits", "40 16 none digits", "10 32 none digits", "10 32 batch digits"} <= lines
    assert "10 16 none other" in lines
    names = {line.partition(" ")[0] for line in marks}
    assert names == {"Good", "BCE", "LSGAN", "Hinge", "GANetic", "BCESmooth90", "BCESmooth80", "BCESmooth70"}


def test_rungs_share_no_seeds(whole: tuple[Ladder, Path]) -> None:
    seeds = [lossgen.open_run(found.parent).config.seed for found in (whole[1] / "ladder").glob("*/run.toml")]
    assert len(set(seeds)) == len(seeds) == 6


def test_a_second_look_on_more_seeds_is_refused() -> None:
    lossgen.verify(GOOD, **{**SMALL, "out": "twice"})
    with pytest.raises(InputError, match="--out twice: was verified on 4 seeds, and looking again on more is a second"):
        lossgen.verify(GOOD, **{**SMALL, "out": "twice", "seeds": 5})


def test_rates_are_those_that_were_tuned(whole: tuple[Ladder, Path]) -> None:
    for rung in ("plateau", "wide-none"):
        comparison = lossgen.open_run(whole[1] / "ladder" / rung).comparison
        assert comparison is not None
        assert {result.rates for result in comparison.results} == {"0.003:0.003"}


@pytest.mark.parametrize(
    ("falls", "highest", "last"), [("tuned", "fresh", "tuned"), ("batch", "plateau", "wide"), ("data", "wide", "data")]
)
def test_it_falls_where_it_is_no_better_and_nothing_above_is_tried(falls: str, highest: str | None, last: str) -> None:
    ladder = climbed(falls=falls)
    assert ladder.highest("Good") == highest
    assert ladder.steps[-1].rung == last


def test_every_rung_is_tried_where_that_is_asked_for() -> None:
    ladder = climbed(falls="fresh", every=True)
    assert len(ladder.steps) == 6 and ladder.highest("Good") is None


def test_without_ladder_two_rungs_are_climbed_and_again_trains_nothing(folder: Path) -> None:
    marks = folder / "marks"
    first = lossgen.verify(GOOD, out="ladder", marks=str(marks), **SMALL)
    assert [step.rung for step in first.steps] == ["fresh", "tuned"]
    count = len(marks.read_text().splitlines())
    again = lossgen.verify(GOOD, out="ladder", marks=str(marks), **SMALL)
    assert len(marks.read_text().splitlines()) == count
    assert [step.as_json() for step in again.steps] == [step.as_json() for step in first.steps]


def test_the_first_rung_may_be_of_all_pairs(folder: Path) -> None:
    marks = folder / "marks"
    first, tuned = lossgen.verify(GOOD, objective="robust", out="ladder", marks=str(marks), **SMALL).steps
    assert first.detail == "10 steps, the mean over all pairs of learning rates" and first.passed == ["Good"]
    (trial,) = first.trials
    assert [len(result.values) for result in trial.comparison.results] == [4] * 5
    assert len(marks.read_text().splitlines()) >= 5 * 4 * 2
    names = [result.name for result in tuned.trials[0].comparison.results]
    assert names[5:] == ["BCESmooth90", "BCESmooth80", "BCESmooth70"], "whose targets are tuned as the rates are"
    with pytest.raises(InputError, match=r"--out ladder/fresh: holds .*--objective was robust, not quality"):
        lossgen.verify(GOOD, out="ladder", **SMALL)


def test_several_losses_are_corrected_for_and_a_baseline_is_no_baseline_of_itself() -> None:
    other = "loss GoodToo(y_real, y_pred) = abs(y_pred - y_real)"
    ladder = lossgen.verify([GOOD, other, "ganetic"], out="ladder", **{**SMALL, "seeds": 6})
    (trial,) = ladder.steps[0].trials
    assert set(trial.found) == {"Good", "GoodToo", "GANetic"}
    assert trial.found["GANetic"].baseline != "GANetic"
    assert trial.found["Good"].p == pytest.approx(3 * 2 / 924)
    assert ladder.highest("GANetic") is None and ladder.highest("GoodToo") == "tuned"


def test_baselines_that_are_best_at_an_edge_of_the_grid_are_named() -> None:
    grid = [(3e-3, 3e-3), (3e-3, 1e-3), (3e-3, 3e-4)]
    tuned = lossgen.verify(GOOD, out="ladder", **{**SMALL, "grid": grid}).steps[1]
    (note,) = tuned.trials[0].notes
    assert note.startswith("Best at the highest rate of the discriminator in the grid, 0.003: Good, BCE, LSGAN")
    assert note in json.loads(Path("ladder/ladder.json").read_text())["steps"][1]["trials"][0]["notes"]
    assert "in the grid, 0.003: Good, BCE" in Path("ladder/ladder.md").read_text()


def test_two_other_data_are_both_to_be_passed() -> None:
    ladder = lossgen.verify(GOOD, ladder=True, verify_on=["third", "other"], falls="data", out="ladder", **SMALL)
    assert [trial.what for trial in ladder.steps[-1].trials] == ["third", "other"]
    assert ladder.highest("Good") == "wide"


def test_a_baseline_among_the_losses_stays_a_baseline_of_the_others() -> None:
    ladder = lossgen.verify([GOOD, "bce", "lsgan", "hinge", "ganetic"], out="ladder", **SMALL)
    (trial,) = ladder.steps[0].trials
    means = {result.name: result.summary.mean for result in trial.comparison.results if result.summary}
    assert len(trial.found) == 5 and len(means) == 5
    for name, found in trial.found.items():
        others = {other: mean for other, mean in means.items() if other not in (name, "Good")}
        assert found.baseline == min(others, key=others.__getitem__)


def test_a_command_climbs_as_far_as_it_can(folder: Path) -> None:
    (folder / "train.py").write_text(
        "import json, sys\nloss, seed, out = sys.argv[1:]\nbase = 0.5 if 'class Good(' in open(loss).read() else 1.0\n"
        "json.dump({'fid': base + int(seed) % 97 / 1e4}, open(out + '/m.json', 'w'))\n"
    )
    command = f"{sys.executable} train.py {{loss_file}} {{seed}} {{out}}"
    more: dict[str, Any] = {"seeds": 4, "workers": 0, "quiet": True, "out": "ladder", "metric": "{out}/m.json:fid"}
    ladder = lossgen.verify(GOOD, ladder=True, command=command, **more)
    assert ladder.highest("Good") == "fresh"
    assert {step.rung: step.why_not for step in ladder.steps[1:]} == {
        "tuned": "the runner has no learning rates to be tuned",
        "plateau": "the command does not say how long it trains",
        "judge": "the runner keeps no models that could be judged again",
        "wide": "the runner has no width",
        "data": "no other data were given (--verify-on)",
    }


def test_few_seeds_can_show_nothing_and_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    ladder = lossgen.verify(GOOD, out="ladder", **{**SMALL, "seeds": 2, "quiet": False})
    said = capsys.readouterr().out
    assert "With so few seeds no difference could have been shown" in said
    assert said.rstrip().splitlines()[-2] == ladder.headline("Good")


def test_the_command_does_the_same() -> None:
    words = [
        "verify", GOOD, "--runner", str(CLIMBING), "--steps", "10", "--seeds", "4", "--tune-seeds", "1", "--grid",
        "3e-3:3e-3,1e-3:1e-3", "--workers", "0", "--out", "ladder", "--falls", "tuned",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert f"Good {RUNGS['fresh'][1]}; the rung that it does not pass: tuned baselines." in done.output


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"seeds": 5, "out": "begun"}, ""),
        ({"losses": []}, "verify: give at least one LOSS"),
        ({"losses": ["bce", "bce"]}, "verify: bce is given twice"),
        ({"grid": "1:2:3"}, "--grid '1:2:3'"),
        ({"tune_seeds": 0}, "--tune-seeds: "),
        ({"verify_on": ["gone/folder"]}, "--verify-on gone/folder: no such file or folder"),
        ({"extractor_weights": "gone.pth"}, "--extractor-weights gone.pth: no such file"),
        ({"verify_on": ["mnist", "digits"]}, "--verify-on digits: is what the other rungs are climbed on"),
        ({"plateau": 10}, "--plateau 10: is no longer than the 10 steps of the other rungs"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(more: dict[str, Any], says: str) -> None:
    arguments = {**SMALL, "out": "refused", **more}
    losses = arguments.pop("losses", [GOOD])
    if not says:
        lossgen.verify(losses, **arguments)
        arguments |= {"steps": 20}
        says = "--out begun/fresh: holds a comparison under another setting (--steps was 10, not 20)"
    with pytest.raises(InputError) as refused:
        lossgen.verify(losses, **arguments)
    assert says in str(refused.value) and "\n" not in str(refused.value)
    assert not Path("refused/fresh").exists()
