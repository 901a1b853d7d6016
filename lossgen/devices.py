"""The processors that trainings share."""

import os
import platform
from pathlib import Path

from lossgen.errors import InputError

_OF_A_CPU = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")
"""What /proc/cpuinfo says of a CPU that its arithmetic may depend on, on x86 and on ARM."""


def cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's model and, on Linux, its instruction sets; elsewhere what `platform.processor` knows."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    found: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        if name.strip() in _OF_A_CPU:
            found.setdefault(name.strip(), value.strip())
    return "; ".join(f"{name}: {value}" for name, value in found.items()) or platform.processor()


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none where PyTorch finds none."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def default_workers(device: str) -> int:
    """Worker processes where none were asked for: as LOSSGEN_WORKERS says, else one a core, or one a GPU; one for a GPU
    that is named.

    Raises:
        InputError: LOSSGEN_WORKERS is no number.
    """
    import joblib

    told = os.environ.get("LOSSGEN_WORKERS", "")
    if told and not (told.isascii() and told.isdecimal()):
        raise InputError(f"LOSSGEN_WORKERS {told!r}: is no number of worker processes; give one, or unset it")
    if told:
        return int(told)
    if device == "cpu":
        return int(joblib.cpu_count())
    return max(1, len(gpus())) if device == "cuda" else 1
