"""The two families of error that lossgen raises on purpose.

An `InputError` is something that a user can put right: its text is one line that says what is wrong, where, and
what to do. The command line prints it as it is and exits with 2.
"""


class LossgenError(Exception):
    """Base of every error that lossgen raises on purpose."""


class InputError(LossgenError):
    """Bad input: one line that says what, where and what to do."""


class CheckError(LossgenError):
    """A check that was asked for did not hold (exit code 1)."""
