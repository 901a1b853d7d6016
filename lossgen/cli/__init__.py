"""The command line. Each command is a few lines that call the rooms below; heavy imports happen inside them."""

import shlex
import sqlite3
import sys

import click

from lossgen import __version__
from lossgen.cli import asking, looking, losses, scoring, training
from lossgen.cli.flags import SETTINGS
from lossgen.errors import CheckError, LossgenError


@click.group(context_settings=SETTINGS)
@click.version_option(__version__, prog_name="lossgen")
def cli() -> None:
    """Discover loss functions for GANs, and get them as readable PyTorch source code.

    A LOSS is a .loss file or an emitted .py file, a name of the zoo (bce, lsgan, hinge, wasserstein, ganetic and
    more), or an expression such as 'y_pred^3 + sqrt(3.985 * y_real / y_pred)'.
    """


for command in (
    training.evolve, training.compare, training.calibrate, training.verify, asking.ask, asking.tell, losses.compile_,
    losses.inspect, losses.sample, scoring.score, scoring.audit, scoring.augment, scoring.ensemble, looking.data,
    looking.runs, looking.show, looking.report, looking.doctor,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    run_command(cli)


def run_command(command: click.Command) -> None:
    """Run a command: one clear line and exit code 2 for bad input, 1 for a failed check, 130 on Ctrl-C."""
    try:
        code = command.main(standalone_mode=False)  # what a command gave to ctx.exit, else None
        if code:
            sys.exit(code)
    except click.UsageError as error:
        see = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        _end(error.format_message().replace("\n", " ") + see + _behind_dashes(error), 2)
    except click.ClickException as error:
        _end(error.format_message(), 2)
    except CheckError as error:
        _end(str(error), 1)
    except LossgenError as error:
        _end(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        _end("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has had enough of it
        sys.exit(0)
    except sqlite3.Error as error:
        _end(f"archive: cannot be used: {error}; free space, fix permissions, or wait for the process that holds it", 2)
    except OSError as error:
        _end(f"{error.filename or 'file system'}: {error.strerror or error}", 2)
    except MemoryError:
        _end("out of memory: try fewer --workers, a smaller --image-size or a smaller --batch-size", 2)


def _behind_dashes(error: click.UsageError) -> str:
    """What to do about an expression that was taken for an option because it begins with a minus."""
    if not isinstance(error, click.NoSuchOption) or error.option_name.startswith("--") or error.ctx is None:
        return ""
    given = next((arg for arg in sys.argv[1:] if arg.startswith(error.option_name)), "")
    if error.ctx.command.name not in ("inspect", "compile", "compare", "calibrate", "verify") or not given:
        return ""
    own = f"{error.ctx.command_path} -- {shlex.quote(given)}"
    return f"; an expression that begins with a minus goes behind --: {own}"


def _end(message: str, code: int) -> None:
    click.echo(f"error: {message}" if code != 130 else message, err=True)
    sys.exit(code)
