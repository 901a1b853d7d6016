"""The command calibrate: a panel of losses × seeds × learning rates, looked at at growing budgets.

Each training goes on from budget to budget; it is one training, with the very results of one that was asked for its
last budget at once.
"""

from collections.abc import Mapping, Sequence

from lossgen.codegen.load import read_emitted
from lossgen.errors import InputError
from lossgen.evolution.calibration import FEWEST, Calibration, Panel, calibration_of, panel_of
from lossgen.evolution.compare import report_metric
from lossgen.evolution.conditions import RATES, condition_text, pair_text, rates
from lossgen.evolution.config import RunConfig
from lossgen.evolution.entry import Entry
from lossgen.evolution.run import Run, open_run
from lossgen.evolution.session import Session
from lossgen.language.loss import Loss

STAGE = "calibrate"
PANEL = (
    "zoo",
    "loss Focal(y_real, y_pred) = -(y_real * square(1 - y_pred) * log(y_pred) "
    "+ (1 - y_real) * square(y_pred) * log(1 - y_pred))",
    "loss Absolute(y_real, y_pred) = abs(y_real - y_pred)",
    "loss Cubic(y_real, y_pred) = abs(y_real - y_pred)^3",
    "loss Quartic(score):\n    real: square(square(score - 1))\n    fake: square(square(score))\n"
    "    generator: square(square(score - 1))",
    "loss SquaredHinge(score):\n    real: square(relu(1 - score))\n    fake: square(relu(1 + score))\n"
    "    generator: -score",
)
"""LOSS arguments of the usual panel: what comes with lossgen, and other forms that people have trained GANs with."""


def calibrate_losses(session: Session) -> None:
    """Train the panel of a calibration to each of its budgets in turn."""
    config, archive = session.run.config, session.run.archive
    budgets = list(config.budgets or [])
    panel = [Entry.of(loss, source) for loss, source in _losses(config)]
    known = sum(key.steps == budgets[-1] for key, _, _ in archive.outcomes(STAGE))
    plan = session.plan(panel[0], config.calibrated, *panel[1:], known=known)
    session.listener.planned(plan)
    entries = [entry.under(condition) for entry in panel for condition in _conditions(config)]
    complete = True
    for after, steps in zip([0, *budgets], budgets):
        found = session.train(STAGE, entries, config.seeds, steps, "all", 0, after)
        complete = complete and all(len(group) == config.seeds for group in found.values())
    if session.stopped and not archive.outcomes(STAGE):
        session.nothing_yet()
    archive.set_meta("finished", complete)
    session.save_profile()


def panel_in(run: Run) -> Panel | None:
    """The panel of a calibration's archive, of the budgets that all of it has come to; None before the first."""
    config, archive = run.config, run.archive
    if config.kind != STAGE or not archive.meta("objectives"):
        return None
    objective, direction = next(iter(archive.meta("objectives").items()))
    names = {Entry.of(loss, source).digest: loss.name for loss, source in _losses(config)}
    texts = {condition_text(condition): _pair(condition) for condition in _conditions(config)}
    outcomes = {
        (names[key.digest], texts[key.condition], key.replicate, key.steps): outcome
        for key, _, outcome in archive.outcomes(STAGE)
    }
    metric = report_metric(objective, list(outcomes.values()))
    pairs, usual = list(texts.values()), _pair({name: config.options[name] for name in RATES if name in config.options})
    return panel_of(
        outcomes, list(names.values()), pairs, config.seeds, config.budgets or [], objective, metric, direction,
        pairs.index(usual) if usual in pairs else 0,
    )  # fmt: skip


def calibration_in(run: Run, beside: Sequence[str] = ()) -> Calibration | None:
    """What a run's archive says; None before all trainings have come to the first budget.

    Args:
        beside: runs of other calibrations, that this one's proxies are to foretell.

    Raises:
        InputError: one of these is no calibration, is not far enough, or has other losses.
    """
    panel = panel_in(run)
    if panel is None:
        return None
    return calibration_of(panel, panels_beside(run.config, beside))


def panels_beside(config: RunConfig, names: Sequence[str]) -> dict[str, Panel]:
    """Panels of other calibrations by their data and run.

    Raises:
        InputError: one of these is no calibration, is not far enough, or has other losses than this one's.
    """
    mine = {loss.name for loss, _ in _losses(config)} if names else set()
    found: dict[str, Panel] = {}
    for name in names:
        with open_run(name, locked=False) as other:
            panel = panel_in(other)
            if panel is None:
                raise InputError(f"--beside {name}: holds no calibration that has come to its first budget")
            common = len(mine & set(panel.losses))
            if common < FEWEST:
                raise InputError(f"--beside {name}: has {common} losses in common with this one, and it takes {FEWEST}")
            data = other.archive.meta("protocol", {}).get("data", {}).get("name")
            found[f"{data} ({other.name})" if data else other.name] = panel
    return found


def _losses(config: RunConfig) -> list[tuple[Loss, str]]:
    return [(read_emitted(source, "run.toml"), source) for source in config.losses]


def _conditions(config: RunConfig) -> list[dict[str, float]]:
    return [rates(pair) for pair in config.grid] if config.grid else [{}]


def _pair(condition: Mapping[str, float]) -> str:
    return pair_text([condition[name] for name in RATES]) if set(RATES) <= set(condition) else ""
