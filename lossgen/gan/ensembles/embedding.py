"""An embedding of one's own: a Python file that makes a network."""

from pathlib import Path

from lossgen.errors import InputError
from lossgen.gan.extractors import Extractor, module_extractor
from lossgen.runner import load_file

MAKER = "embedding"


def load_embedding(path: Path) -> Extractor:
    """The network that a file's function `embedding()` makes, an `nn.Module`: images, uint8 (N, C, H, W), to (N, d).

    The file is run, as a runner of the user's own is.

    Raises:
        InputError: there is no such file or function, or what it makes is no network.
    """
    if not path.is_file():
        raise InputError(f"--embedding {path}: no such file")
    make = getattr(load_file(path, "--embedding"), MAKER, None)
    try:
        net = make() if callable(make) else None
    except (Exception, SystemExit) as error:  # noqa: BLE001  a file of the user's own may raise anything
        raise InputError(f"--embedding {path}: {MAKER}() fails: {type(error).__name__}: {error}") from None
    if net is None:
        raise InputError(f"--embedding {path}: has no function {MAKER}() that returns a torch.nn.Module")
    return module_extractor(path.stem, net)
