"""Three medical data sets, as they come, to one folder of images a class, which `lossgen … --data FOLDER` reads.

    python docs/examples/medical_folders.py brecahad BreCaHAD/images histology/
    python docs/examples/medical_folders.py hyper-kvasir labeled-images endoscopy/
    python docs/examples/medical_folders.py lag LAG_database_part_1 fundus/

Nothing of the source is changed. Files are linked where the disk can, and copied elsewhere; those of BreCaHAD are cut.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

CROP, STEP = 512, 256
"""Side of a piece of a BreCaHAD image in pixels, and how far two of them lie apart."""


def brecahad(source: Path) -> Iterator[tuple[str, Path, tuple[int, int, int, int] | None]]:
    """162 images of 1360 × 1024 pixels, `*.tif` in one folder (Aksac et al. 2019, doi 10.1186/s13104-019-4121-7).

    Their annotations are of cells, so there are no classes. Pieces of 512 pixels that overlap by half, as for
    StyleGAN2-ADA (Karras et al. 2020, arXiv 2006.06676): 4 × 3 of an image, 1944 in all.
    """
    for path in sorted(source.glob("*.tif")):
        with Image.open(path) as image:
            width, height = image.size
        for top in range(0, height - CROP + 1, STEP):
            for left in range(0, width - CROP + 1, STEP):
                yield "", path, (left, top, left + CROP, top + CROP)


def hyper_kvasir(source: Path) -> Iterator[tuple[str, Path, None]]:
    """10 662 labelled images, `<tract>/<kind of finding>/<class>/*.jpg` (Borgli et al. 2020, Scientific Data 7:283).

    Polyps against what is normal of the same tract: the caecum, the ileum, the rectum seen backwards, and clean mucosa.
    """
    tract = source / "lower-gi-tract"
    normal = [
        *(tract / "anatomical-landmarks" / name for name in ("cecum", "ileum", "retroflex-rectum")),
        tract / "quality-of-mucosal-views" / "bbps-2-3",
    ]
    for kind, folders in (("normal", normal), ("polyps", [tract / "pathological-findings" / "polyps"])):
        for folder in folders:
            for path in sorted(folder.glob("*.jpg")):
                yield kind, path, None


def lag(source: Path) -> Iterator[tuple[str, Path, None]]:
    """Fundus images, `<class>/image/*.jpg` (Li et al. 2019, CVPR; github.com/smilell/AG-CNN, on request).

    Beside them lie `attention_map` and `label`, which are left out.
    """
    for kind, folder in (("normal", "non_glaucoma"), ("glaucoma", "suspicious_glaucoma")):
        for path in sorted((source / folder / "image").glob("*.jpg")):
            yield kind, path, None


LAYOUTS = {"brecahad": brecahad, "hyper-kvasir": hyper_kvasir, "lag": lag}


def main() -> str:
    """Convert what the command line says; what is wrong with it, in a line."""
    if len(sys.argv) != 4 or sys.argv[1] not in LAYOUTS:
        return f"usage: {Path(sys.argv[0]).name} {{{'|'.join(LAYOUTS)}}} SOURCE FOLDER"
    name, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if target.exists() and any(target.iterdir()):
        return f"{target}: is not empty; give a folder of its own"
    counts: dict[str, int] = {}
    for kind, path, box in LAYOUTS[name](source):
        counts[kind] = counts.get(kind, 0) + 1
        folder = target / kind
        folder.mkdir(parents=True, exist_ok=True)
        if box is not None:
            with Image.open(path) as image:
                image.convert("RGB").crop(box).save(folder / f"{path.stem}-{box[1]}-{box[0]}.png")
            continue
        copy = folder / f"{path.parent.name}-{path.name}"
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
    if not counts:
        return f"{source}: holds nothing of the layout of {name}: {LAYOUTS[name].__doc__.splitlines()[0]}"
    print(", ".join(f"{kind or 'images'} {count}" for kind, count in counts.items()) + f" in {target}")
    return ""


if __name__ == "__main__":
    try:
        problem = main()
    except OSError as error:  # Pillow's for what is no image among them
        problem = f"{error.filename or 'image'}: {error.strerror or error}"
    if problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
