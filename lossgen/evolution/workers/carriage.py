"""Files of trainings on their way between machines: a folder as a mapping from names to contents."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lossgen.runner import Member, Outcome

Files = Mapping[str, bytes]
"""Contents by path in the folder, with slashes; of one file alone, its name."""


def packed(path: Path | None) -> Files:
    """A file, or all files of a folder; empty where there is none."""
    if path is None or not path.exists():
        return {}
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def unpack(files: Files, folder: Path) -> None:
    """Write files into a folder, which is made where it is missing."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def state_of(member: Member) -> tuple[str, Files]:
    """What a member is to continue from: its name, and what is in it where that is a folder."""
    if member.state is None:
        return "", {}
    return member.state.name, packed(member.state)


def there(member: Member, name: str, state: Files, folder: Path) -> Member:
    """The member with its state, and with what it is to keep, in a folder of another machine.

    Args:
        name, state: as `state_of` gave them.
    """
    found: Path | None = None
    if name:
        found = folder / "state" / name
        single = set(state) == {name}
        unpack(state, found.parent if single else found)
    keep = folder / member.keep.parent.name / member.keep.name if member.keep else None  # logs are called by it
    return dataclasses.replace(member, state=found, keep=keep)


def moved(outcome: Outcome, before: Path, after: Path) -> Outcome:
    """The outcome once what lies in a folder has gone into another."""
    files = {
        kind: after / path.relative_to(before) if path.is_relative_to(before) else path
        for kind, path in outcome.files.items()
    }
    return dataclasses.replace(outcome, files=files)
