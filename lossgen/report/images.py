"""Images to files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError
from lossgen.gan.files import replacing


def write_images(
    images: NDArray[np.uint8], out: Path, labels: NDArray[np.int64] | None = None, classes: Sequence[str] = ()
) -> None:
    """Write images, uint8 (N, C, H, W), as the array `images` of an .npz file, or as numbered PNGs in a folder.

    With labels (N,) and their names the file has the arrays `labels` and `classes`, and the folder a folder a class.

    Raises:
        InputError: the file is there already, the folder holds PNGs of its own, or it cannot be written.
    """
    from PIL import Image

    try:
        if out.suffix == ".npz":
            if out.exists():
                raise InputError(f"--out {out}: exists already; give a new name")
            known: dict[str, Any] = {} if labels is None else {"labels": labels, "classes": np.array(classes)}
            with replacing(out) as file:
                np.savez_compressed(file, images=images.transpose(0, 2, 3, 1), **known)
            return
        out.mkdir(parents=True, exist_ok=True)
        if any(out.rglob("*.png")):
            raise InputError(f"--out {out}: holds PNG files already; give a new or an empty folder")
        digits = len(str(len(images) - 1))
        for i, image in enumerate(images):
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            folder = out if labels is None else out / _class_folder(classes[labels[i]], int(labels[i]))
            folder.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{i:0{digits}}.png")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror or error}") from None


def _class_folder(name: str, label: int) -> str:
    """The class's own name where a folder can be called that."""
    return name if name and name == Path(name).name and not name.startswith(".") else f"class {label}"
