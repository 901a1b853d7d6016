"""Where grammar/, runners/ and generated/ lie: at the top of a checkout, or inside an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """Folder `name` ("grammar", "runners" or "generated") of the checkout or of the installed wheel."""
    packaged = _PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def zoo_dir() -> Path:
    """Folder of the losses that come with lossgen: `.loss` sources and the modules emitted from them."""
    return resource_dir("generated")


def shortlist_dir() -> Path:
    """Folder of the good and diverse losses that searches have found."""
    return zoo_dir() / "shortlist"


def cache_dir() -> Path:
    """User cache folder for what can be made again (trained extractors, downloads). `LOSSGEN_CACHE` moves it."""
    import os

    import platformdirs

    chosen = os.environ.get("LOSSGEN_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("lossgen"))
