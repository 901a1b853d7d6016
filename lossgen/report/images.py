"""Images to files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossgen.errors import InputError


def write_images(images: NDArray[np.uint8], out: Path) -> None:
    """Write images, uint8 (N, C, H, W), as the array `images` of an .npz file, or as numbered PNGs in a folder.

    Raises:
        InputError: the folder holds PNGs of its own already, or cannot be written.
    """
    from PIL import Image

    try:
        if out.suffix == ".npz":
            out.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(out, images=images.transpose(0, 2, 3, 1))
            return
        out.mkdir(parents=True, exist_ok=True)
        if any(out.glob("*.png")):
            raise InputError(f"--out {out}: holds PNG files already; give a new or an empty folder")
        digits = len(str(len(images) - 1))
        for i, image in enumerate(images):
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(out / f"{i:0{digits}}.png")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror or error}") from None
