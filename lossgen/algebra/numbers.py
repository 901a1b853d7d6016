"""How numbers are written."""

from decimal import Decimal


def digits(value: float) -> int:
    """The number of significant decimal digits that a finite number is written with: 3 for 0.125, 1 for 1e22 and 0."""
    return len(Decimal(repr(value)).normalize().as_tuple().digits)
