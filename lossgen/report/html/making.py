"""How a run was made, and the command that makes it once more."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from lossgen import settings
from lossgen.codegen.load import load_argument, read_emitted
from lossgen.errors import InputError
from lossgen.evolution.asked import ROUNDS
from lossgen.evolution.calibrating import STAGE
from lossgen.evolution.clock import overhead
from lossgen.evolution.conditions import pair_text
from lossgen.evolution.planner import generations_asked
from lossgen.evolution.run import Run, versions
from lossgen.language.loss import Loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss
from lossgen.report.ending import same_setting
from lossgen.report.html.blocks import Block, Code, Facts, Words
from lossgen.report.live import duration


def made_of(run: Run) -> list[Block]:
    """Protocol, configuration, versions, hashes, and the command that makes it once more."""
    archive, config = run.archive, run.config
    profile = archive.meta("profile", {})
    seconds = ", ".join(f"{name} {duration(spent)}" for name, spent in sorted(profile.items(), key=lambda i: -i[1]))
    began = archive.meta("versions") or versions()
    reproducible, asked = archive.meta("reproducible", True), config.kind == "ask" or archive.meta(ROUNDS)
    pairs = [
        ("trainings", str(len(archive.outcomes()))),
        ("time", f"{seconds}; the engine's own part is {overhead(profile):.1%}" if profile else "–"),
        ("seed", str(config.seed)),
        *([] if asked else [("runner", f"{Path(config.runner).stem}, SHA-256 {config.runner_digest[:16]}…")]),
        ("device", config.device),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(began.items()))),
        (
            "reproducible",
            "as far as its trainings are, which ran elsewhere"
            if asked
            else "yes, with any number of workers"
            if reproducible
            else "no: what was trained depended on time, or on order",
        ),
    ]
    protocol = archive.meta("protocol", {})
    lines = tomli_w.dumps(for_toml(protocol)) if protocol else ""
    configuration = tomli_w.dumps(config.model_dump(exclude_none=True, exclude={"space_text", "losses"}))
    blocks: list[Block] = [Facts(pairs)]
    if asked:
        blocks.append(
            Words([f"Its trainings ran elsewhere; it goes on with: lossgen ask {shlex.quote(str(run.path))}"])
        )
    else:
        functions = {"select": config.select, "vary": config.vary}
        own = [f"{name}={function}" for name, function in functions.items() if function]
        title = f"The command (from Python, with {', '.join(own)} in place of the usual ones)" if own else "The command"
        blocks.append(Code(title, reproducing(run), folded=False))
    if lines:
        blocks.append(Code("Protocol: data with their hashes, metrics, what judges", lines))
    blocks.append(Code("Configuration (run.toml)", configuration))
    if config.space_text:
        blocks.append(Code(f"Search space {config.space}", config.space_text, f"{config.space}.lark"))
    return blocks


def for_toml(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without None, which TOML does not have."""

    def printable(value: Any) -> Any:
        if isinstance(value, Mapping):
            return for_toml(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [printable(each) for each in value if each is not None]
        return value

    return {str(key): printable(value) for key, value in values.items() if value is not None}


def reproducing(run: Run) -> str:
    """The command that makes the run once more."""
    config = run.config
    words = ["lossgen", config.kind]
    if config.kind in ("compare", "calibrate"):
        words += [_argument(read_emitted(source, "run.toml")) for source in config.losses]
    if config.kind == "evolve":
        words += ["--objective", config.objective, "--population", str(config.population)]
        words += ["--mode", config.mode] * (config.mode != settings.MODE)
        words += ["--space", config.space] * (config.space != settings.SPACE)
    if config.kind == "compare" and config.objective == "robust":
        words += ["--objective", "robust"]
    settled: dict[str, Any] = {name: getattr(config, name) for name in ("time_limit", "timeout")}
    if config.kind == "evolve":
        for name in ("generations", "polish", "audit", "max_trainings", "max_steps", "max_candidates", "verify_seeds"):
            settled[name] = getattr(config, name)
        settled["generations"] = generations_asked(config)
        budget = run.archive.meta("budget")
        if budget and not config.time_limit:
            settled |= {"polish": budget["polish"], "audit": budget["audit"]}
    for name, value in settled.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    steps = config.steps or run.archive.meta("steps")
    rungs = config.rungs or (config.rungs_at(steps) if config.race and steps else None)
    if not rungs:
        words += ["--seeds", str(config.seeds)]
    else:
        words += ["--rungs", ",".join(f"{steps}x{replicates}" for steps, replicates in rungs)]
    if config.grid:
        words += ["--grid", ",".join(pair_text(pair) for pair in config.grid)]
    if config.tune_seeds:
        words += ["--tune", "--tune-seeds", str(config.tune_seeds)]
    if config.regularisers is not None:
        words += ["--regulariser", shlex.quote(",".join(config.regularisers))]
    if config.rates:
        chosen = ",".join(f"{name}={pair_text(pair)}" for name, pair in config.rates.items())
        words += ["--rates", shlex.quote(chosen)]
    if config.budgets:
        words += ["--budgets", ",".join(map(str, config.budgets))]
    for text in config.seed_losses:
        words += ["--seed-loss", _argument(parse_loss(text))]
    words += ["--cache"] * config.cache
    words += ["--seed", str(config.seed)]
    words += ["--device", config.device] * (config.device != settings.DEVICE)
    setting = same_setting(run, steps) if steps or config.runner == "command" else ""
    if config.kind == STAGE or rungs:  # whose last one says it
        setting = _without_steps(setting)
    return " ".join([*words, setting]).strip()


def _argument(loss: Loss) -> str:
    """How a command is given the loss: by its name in the zoo, else by its text."""
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", loss.name).lower()
    for name in (stem, loss.name.lower()):
        try:
            if load_argument(name).loss.digest() == loss.digest():
                return name
        except InputError:
            continue
    return shlex.quote(print_loss(loss))


def _without_steps(setting: str) -> str:
    words = setting.split(" ")
    if "--steps" in words:
        place = words.index("--steps")
        del words[place : place + 2]
    return " ".join(words)
