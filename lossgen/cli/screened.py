"""What the screen of a search would reject is said, and done all the same: the user asked for it."""

import click

from lossgen.language.loss import Loss


def warn_of_rejection(loss: Loss, done: str) -> None:
    """One line on standard error where the screen rejects a loss.

    Args:
        done: what becomes of the loss all the same, for instance "emitted".
    """
    from lossgen.kernel.screen import screen
    from lossgen.language.lower import lower_loss

    found = screen([lower_loss(loss)])[0]
    if found.rejection is not None:
        click.echo(f"warning: {loss.name}: {found.rejection}: {found.detail}; it is {done} all the same", err=True)
