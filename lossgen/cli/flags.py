"""Flags that commands share, and those that a runner's options become."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from lossgen import settings
from lossgen.commands import settle
from lossgen.errors import InputError
from lossgen.resources import resource_dir

SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "max_content_width": 110,
}
Command = Callable[..., Any]


OF_COMMANDS = ("command", "metric")
"""The options of the command runner that are flags always."""
GROUPS = {
    "What is trained": (
        "runner", *OF_COMMANDS, "steps", "seed", "data", "data_dir", "image_size", "fit", "download", "trust",
    ),
    "Time and machine": (
        "time_limit", "max_trainings", "max_steps", "max_candidates", "timeout", "workers", "gpus_per_worker", "device",
    ),
    "Files": ("out", "resume", "cache", "generated", "tensorboard", "help"),
}  # fmt: skip
"""Options by what they are about, in the order that --help shows them; a command's own come after the first."""


class RunnerCommand(click.Command):
    """A command that has the options of the runner which --runner names as flags of its own.

    `--command` stands for `--runner command`.

    Args:
        about: what the options are about that no other command has.
    """

    def __init__(self, *args: Any, about: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.about = about
        self.own = list(self.params)
        self.runner = settings.RUNNER

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In groups, the runner's own at the end."""
        of_runner = [param for param in self.params if param not in self.own]
        others = [param for param in self.get_params(ctx) if param not in of_runner]
        left = {
            "help" if "--help" in param.opts else param.name: param
            for param in others
            if not isinstance(param, click.Argument)
        }
        groups = {title: [left.pop(name) for name in names if name in left] for title, names in GROUPS.items()}
        first, *rest = groups.items()
        for title, params in [first, (self.about, left.values()), *rest, (f"Runner {self.runner}", of_runner)]:
            rows = [record for param in params if (record := param.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        self.params = list(self.own)
        if _given(args, "--resume") is None:  # a run that goes on has its options already
            usual = settings.RUNNER if _given(args, "--command") is None else "command"
            self.runner = _given(args, "--runner") or usual
            self.params += _runner_flags(self.runner, self.own)
        ctx = super().make_context(info_name, args, parent, **extra)
        if not ctx.resilient_parsing and ctx.params.get("resume") is None:
            ctx.params |= settle(ctx.params, given_by(ctx))
        return ctx


def given_by(ctx: click.Context) -> set[str]:
    """Names of what was given on the command line."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in ctx.params if ctx.get_parameter_source(name) == typed}


def _given(args: Sequence[str], flag: str) -> str | None:
    for i, arg in enumerate(args):
        if arg == flag:
            return args[i + 1] if i + 1 < len(args) else None
        if arg.startswith(flag + "="):
            return arg.partition("=")[2]
    return None


def _runner_flags(name: str, params: Sequence[click.Parameter]) -> list[click.Option]:
    from lossgen.runner import find_runner

    found = find_runner(name)
    shipped = found.path == resource_dir("runners") / "command.py"
    taken = {param.name for param in params}
    flags = []
    for field, info in found.cls.options.model_fields.items():
        if shipped and field in OF_COMMANDS:
            continue
        if field in taken:
            raise InputError(f"runner {found.path}: its option {field} clashes with lossgen's own flag; rename it")
        default = info.get_default(call_default_factory=True)
        about = f"{info.description or 'see the runner'} [default: {default}]"
        flag = field.replace("_", "-")
        if info.annotation is bool:
            flags.append(click.Option([f"--{flag}/--no-{flag}", field], default=None, help=about))
        else:
            flags.append(click.Option([f"--{flag}", field], default=None, metavar="VALUE", help=about))
    return flags


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic in later versions of click only
    """A length of time: 90, 90s, 15m, 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return settings.seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Workers(click.ParamType):  # type: ignore[type-arg]
    """A number of processes, or a Ray cluster."""

    name = "n|ray"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        try:
            found = settings.workers(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        return found if isinstance(found, int) else str(found)


def together(options: Sequence[Command]) -> Callable[[Command], Command]:
    """One decorator of several options, in the order that --help shows them."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


DATA_OPTIONS = together(
    [
        click.option("--data", default=settings.DATA, help="Data set: a name, an .npz file, or a folder of images."),
        click.option("--data-dir", default=None, help="Folder that names are looked up in; else LOSSGEN_DATA."),
        click.option("--image-size", type=click.IntRange(min=1), help="Side in pixels; else the largest that fits."),
        click.option(
            "--fit",
            type=click.Choice(["pad", "crop", "stretch"]),
            default=settings.FIT,
            help="How an image that is not square becomes so.",
        ),
        click.option("--download", is_flag=True, help="Fetch the data set where it is absent."),
    ]
)

_COMMON = [
    click.option("--runner", default=settings.RUNNER, help="Benchmark: a name, a .py file, or an entry point."),
    click.option(
        "--command",
        metavar="TEXT",
        help="Train by this command instead: 'python train.py --loss {loss_file} --seed {seed} --steps {steps} "
        "--out {out}'. It runs without a shell; {loss_file} and {out} are needed, {name} and {resume} can be had. "
        "With it, --help shows more.",
    ),
    click.option(
        "--metric",
        metavar="PATH:KEY",
        help="What the command is judged by: '{out}/metrics.json:fid', or a .csv file and its column. Minimised, "
        "unless :max stands behind it.",
    ),
    click.option(
        "--steps",
        type=click.IntRange(min=1),
        help=f"Generator updates of a training. [default: {settings.STEPS}; a robust search: {settings.ROBUST_STEPS}]",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=settings.SEED, help="The run's seed."),
    click.option(
        "--workers",
        type=Workers(),
        help="Worker processes; else LOSSGEN_WORKERS, or one a core. 0 trains in this process, for a debugger, and "
        "keeps no --timeout. ray starts a Ray here, ray:auto and ray://HOST:PORT join a cluster.",
    ),
    click.option("--gpus-per-worker", type=float, help="Of Ray: the part of a GPU that a worker has. [default: 1]"),
    click.option("--device", default=settings.DEVICE, help="cpu, or cuda."),
    click.option("--timeout", type=Seconds(), help="Give up a training after this time; else when it is hopeless."),
    click.option("--out", type=click.Path(path_type=Path), help="Run folder; else runs/<time>-<runner>-<data>."),
]
TRAIN_OPTIONS = together(_COMMON)
RUN_OPTIONS = together(
    [
        *_COMMON,
        click.option(
            "--time-limit", type=Seconds(), help="Fit the run into this time: 90s, 2h. A resume: from now on."
        ),
        click.option(
            "--tensorboard", metavar="FOLDER", help="Write curves for TensorBoard there (lossgen[tensorboard])."
        ),
        click.option("--resume", metavar="RUN", help="Go on with a run: its folder, or a prefix under ./runs."),
    ]
)
