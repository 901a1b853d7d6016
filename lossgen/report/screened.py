"""What the screen of a search would reject is said, and done all the same: the user asked for it."""

from lossgen.kernel.screen import screen
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss


def rejection_of(loss: Loss, done: str) -> str:
    """One line where the screen rejects a loss, else nothing.

    Args:
        done: what becomes of the loss all the same, for instance "emitted".
    """
    found = screen([lower_loss(loss)])[0]
    if found.rejection is None:
        return ""
    return f"warning: {loss.name}: {found.rejection}: {found.detail}; it is {done} all the same"
