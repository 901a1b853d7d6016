"""What the screen of a search would reject is said, and done all the same: the user asked for it."""

import click

from lossgen.language.loss import Loss


def warn_of_rejection(loss: Loss, done: str) -> None:
    """`report.screened.rejection_of`, on standard error."""
    from lossgen.report.screened import rejection_of

    warning = rejection_of(loss, done)
    if warning:
        click.echo(warning, err=True)
