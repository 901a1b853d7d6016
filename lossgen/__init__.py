"""lossgen discovers loss functions for GANs and hands them over as PyTorch source code.

    import lossgen

    run = lossgen.evolve(runner="ring", time_limit="5m")    # as the command `lossgen evolve` does
    criterion = run.criterion()                             # the champion, an nn.Module
    run = lossgen.open_run("runs/2026")                     # a run that was made earlier, also by the command

What has a name here is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossgen.api import calibrate as calibrate
    from lossgen.api import compare as compare
    from lossgen.api import evolve as evolve
    from lossgen.api import open_run as open_run
    from lossgen.api.augmenting import augment as augment
    from lossgen.api.ensembling import ensemble as ensemble
    from lossgen.api.ladder import verify as verify
    from lossgen.errors import InputError as InputError
    from lossgen.evolution.engine import Engine as Engine
    from lossgen.evolution.events import Listener as Listener
    from lossgen.evolution.events import Stopped as Stopped
    from lossgen.gan.auditing import audit as audit
    from lossgen.gan.scoring import score as score
    from lossgen.report.tensorboard import TensorBoard as TensorBoard

__version__ = "0.1.0"

_HOMES = {
    "Engine": "lossgen.evolution.engine",
    "InputError": "lossgen.errors",
    "Listener": "lossgen.evolution.events",
    "Stopped": "lossgen.evolution.events",
    "TensorBoard": "lossgen.report.tensorboard",
    "audit": "lossgen.gan.auditing",
    "augment": "lossgen.api.augmenting",
    "calibrate": "lossgen.api",
    "compare": "lossgen.api",
    "ensemble": "lossgen.api.ensembling",
    "evolve": "lossgen.api",
    "open_run": "lossgen.api",
    "score": "lossgen.gan.scoring",
    "verify": "lossgen.api.ladder",
}
__all__ = [
    "Engine", "InputError", "Listener", "Stopped", "TensorBoard", "audit", "augment", "calibrate", "compare",
    "ensemble", "evolve", "open_run", "score", "verify",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
