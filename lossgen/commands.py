"""One's own training command as text: its arguments with their placeholders, and where it writes its metric."""

import contextlib
import csv
import json
import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lossgen.errors import InputError

PLACEHOLDERS = ("loss_file", "name", "seed", "steps", "out", "resume")
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
EXAMPLE = "python train.py --loss {loss_file} --seed {seed} --steps {steps} --out {out}"
DATA_FLAGS = ("data", "data_dir", "image_size", "fit", "download")
SHELL_ONLY = {"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1", "&>"}


@dataclass(frozen=True)
class Metric:
    """Where a command writes its result: the number at `key` of the file at `path`, which holds {out}."""

    path: str
    key: str
    direction: Literal["min", "max"]

    @property
    def name(self) -> str:
        return self.key if self.is_csv else self.key.rpartition(".")[2]

    @property
    def is_csv(self) -> bool:
        return self.path.lower().endswith(".csv")

    def read(self, path: Path) -> float:
        """The number in a file; ValueError, in one line, where there is none."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise ValueError(f"it wrote no {path.name}") from None
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{path.name} cannot be read") from None
        found = _last_row(text, path.name) if self.is_csv else _json(text, path.name)
        value = _at(found, self.key)
        if value is None:
            raise ValueError(f"{path.name} has no number at {self.key}")
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            if isinstance(value, (int, float) if not self.is_csv else str) and not isinstance(value, bool):
                return float(value)
        raise ValueError(f"{path.name}: {self.key} is {json.dumps(value)[:40]}, not a number")


def _last_row(text: str, name: str) -> object:
    rows = [row for row in csv.DictReader(text.splitlines(), skipinitialspace=True) if any(row.values())]
    if not rows:
        raise ValueError(f"{name} holds no row below its header")
    return rows[-1]


def _json(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is not JSON") from None


def _at(found: object, key: str) -> object:
    """What lies at a dotted key, None if nothing does; a key that is there as it stands comes first."""
    if not isinstance(found, dict):
        return None
    if key in found:
        return found[key]
    first, _, rest = key.partition(".")
    return _at(found.get(first), rest) if rest else None


def parse_metric(text: str) -> Metric:
    """Read PATH:KEY, PATH:KEY:max or PATH:KEY:min; InputError where it is none."""
    rest, direction = text, "min"
    if text.count(":") > 1 and text.endswith((":max", ":min")):
        rest, _, direction = text.rpartition(":")
    path, _, key = rest.rpartition(":")
    if not path or not key.strip(". "):
        raise InputError(f"--metric {text!r}: is not PATH:KEY or PATH:KEY:max, for example '{{out}}/metrics.json:fid'")
    if re.search(r"\.(json|csv):", path, re.IGNORECASE):
        raise InputError(f"--metric {text!r}: behind the key stands :{key}; it may be :max or :min")
    if set(PLACEHOLDER.findall(path)) != {"out"}:
        raise InputError(
            f"--metric {text!r}: its path is to hold {{out}} and no other placeholder, "
            "since several trainings run at the same time, for example '{out}/metrics.json:fid'"
        )
    return Metric(path, key.strip(), "max" if direction == "max" else "min")


def split(command: str, windows: bool = sys.platform == "win32") -> list[str]:
    """The arguments of a command, with its placeholders in them; InputError where it cannot be run so."""
    if not command.strip():
        raise InputError(f"--command: missing; give what trains a GAN once, for example '{EXAMPLE}'")
    try:
        words = shlex.split(command, posix=not windows)
    except ValueError:
        raise InputError("--command: a quotation mark in it is not closed") from None
    if windows:  # there shlex leaves the quotation marks where they are, and backslashes too
        words = [re.sub(r'"([^"]*)"', r"\1", word) for word in words]
    unknown = [name for word in words for name in PLACEHOLDER.findall(word) if name not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise InputError(f"--command: {{{unknown[0]}}} is no placeholder; there are {known}")
    for needed, why in (("loss_file", "know which loss to train with"), ("out", "know where to write its metric")):
        if not has(words, needed):
            raise InputError(f"--command: without {{{needed}}} it cannot {why}; for example '{EXAMPLE}'")
    shell = SHELL_ONLY & set(words)
    if shell:
        raise InputError(f"--command: {min(shell)!r} means something to a shell only, and none runs; use a script")
    return words


def has(words: Sequence[str], name: str) -> bool:
    """Whether a placeholder stands in the arguments."""
    return any(name in PLACEHOLDER.findall(word) for word in words)


def fill(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The arguments with values in place of the placeholders, each one argument whatever it holds."""
    return [PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), word) for word in words]


def settle(values: Mapping[str, Any], given: Collection[str]) -> dict[str, str]:
    """What a command that is to train changes among the values of flags: it is a runner of its own, with its own data.

    Args:
        values: by name, underscores in it.
        given: names of those that were given, and are not as they are by default.

    Raises:
        InputError: something was given that has no meaning beside a command, or without one.
    """
    runner, command = values["runner"], values["command"]
    if command is None and runner != "command":
        if "metric" in given:
            raise InputError("--metric: says where a --command writes its result; give one, or leave --metric out")
        return {}
    if "runner" in given and runner != "command":
        raise InputError(f"--command: is a runner of its own; leave out --runner {runner}, or --command")
    data = [f"--{name.replace('_', '-')}" for name in DATA_FLAGS if name in given]
    if data:
        raise InputError(f"--command: brings its own data; leave out {', '.join(data)}")
    if "steps" in given and "{steps}" not in (command or ""):
        raise InputError("--steps: the command has no {steps} that would tell it; add it, or leave --steps out")
    return {"runner": "command", "data": "own"}
