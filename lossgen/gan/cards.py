"""Data cards as they lie beside generated images, and how a card names the training images.

Beside an .npz file lie `NAME.datacard.json` and `NAME.datacard.md`, in a folder `datacard.json` and `datacard.md`.
Of a generator that was trained on other images than lossgen's own splits have, the card's "training" names these, each
by 16 hexadecimal digits of a hash of its pixels as they were trained on: who has an image can tell whether it was.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.duplicates import fingerprint

CARD = "datacard"
DIGITS = 16


def card_path(images: Path, ending: str) -> Path:
    """Where the card of a folder or an .npz file of images lies; `ending` is ".json" or ".md"."""
    if images.suffix == ".npz":
        return images.with_name(f"{images.stem}.{CARD}{ending}")
    return images / f"{CARD}{ending}"


def read_card(images: Path) -> dict[str, Any] | None:
    """The card of a folder or an .npz file of images; None where it has none.

    Raises:
        InputError: there is a card, and it is none of lossgen's.
    """
    file = card_path(images, ".json")
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    except OSError as error:
        raise InputError(f"{file}: cannot read: {error.strerror or error}") from None
    except ValueError:
        content = {}
    if content is None:
        return None
    known = isinstance(content, dict) and content.get("schema") == 1 and isinstance(content.get("image_size"), int)
    if not known or not isinstance(content.get("source"), dict):
        raise InputError(f"{file}: not a data card of lossgen, or damaged; mend it, or take it away")
    return dict(content)


def prints(images: Iterable[NDArray[np.uint8]]) -> list[str]:
    """What a card names images by, each (C, H, W) as it was trained on."""
    return [fingerprint(image).hex()[:DIGITS] for image in images]
