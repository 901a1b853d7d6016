"""An embedding of one's own: a Python file that makes a network."""

import importlib.util
from pathlib import Path
from types import ModuleType

from lossgen.errors import InputError
from lossgen.gan.extractors import Extractor, module_extractor

MAKER = "embedding"


def load_embedding(path: Path) -> Extractor:
    """The network that a file's function `embedding()` makes, an `nn.Module`: images, uint8 (N, C, H, W), to (N, d).

    The file is run, as a runner of the user's own is.

    Raises:
        InputError: there is no such file or function, or what it makes is no network.
    """
    if not path.is_file():
        raise InputError(f"--embedding {path}: no such file")
    spec = importlib.util.spec_from_file_location(f"lossgen_embedding_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        make = getattr(module, MAKER, None)
        net = make() if callable(make) else None
    except (Exception, SystemExit) as error:  # noqa: BLE001  a file of the user's own may raise anything
        raise InputError(f"--embedding {path}: does not load: {type(error).__name__}: {error}") from None
    if net is None:
        raise InputError(f"--embedding {path}: has no function {MAKER}() that returns a torch.nn.Module")
    return module_extractor(path.stem, net)
