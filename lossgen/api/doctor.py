"""`lossgen doctor`: what of this machine works for lossgen, and what to do about what does not."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lossgen.devices import cpu, default_workers
from lossgen.errors import LossgenError
from lossgen.resources import cache_dir, resource_dir

State = Literal["ok", "note", "problem"]
LEAST_DISK = 2 * 1024**3
"""Bytes that a run on small images, its caches included, fits into with room to spare."""
EXTRAS = {
    "ray": ("ray", "--workers ray, and clusters"),
    "tensorboard": ("tensorboard", "curves of a run in TensorBoard"),
    "ensemble": ("optuna", "ensembles of more than 15 models by TPE and NSGA-II"),
    "fid": ("torch_fidelity", "FID with the Inception network"),
    "dicom": ("pydicom", "DICOM images"),
    "keras": ("keras", "losses for Keras"),
    "browser": ("playwright", "the tests of the report in a browser"),
}
"""By the extra of the package: what it brings, and what for."""


@dataclass(frozen=True)
class Found:
    """What was found out about one thing.

    Attributes:
        name: of the thing.
        state: "ok"; "note" where something can be had that is not there; "problem" where something will fail.
        what: that was found.
        advice: what to do; "" for nothing.
    """

    name: str
    state: State
    what: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> Iterator[Found]:
    """Look at one thing after another; a check that breaks is a problem of its own."""
    for name, check in CHECKS.items():
        try:
            yield from check()
        except LossgenError as error:
            yield Found(name, "problem", str(error))
        except Exception as error:  # noqa: BLE001  whatever is wrong here is what was asked for
            said = " ".join(str(error).split()) or "no message"
            yield Found(
                name, "problem", f"{type(error).__name__}: {said}", "reinstall: pip install --force-reinstall lossgen"
            )


def _python() -> Iterator[Found]:
    bits = 64 if sys.maxsize > 2**32 else 32
    what = f"{platform.python_version()}, {bits} bit, {platform.system()} {platform.machine()}: {sys.executable}"
    if bits == 32:
        yield Found("Python", "problem", what, "PyTorch needs a Python of 64 bits")
    else:
        yield Found("Python", "ok", what)


def _packages() -> Iterator[Found]:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in importlib.metadata.requires("lossgen") or []]
    wrong = []
    count = 0
    for each in wanted:
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            version = importlib.metadata.version(each.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is missing")
            continue
        if not each.specifier.contains(version, prereleases=True):
            wrong.append(f"{each.name} is {version}, and {each.specifier} is needed")
    lossgen = importlib.metadata.version("lossgen")
    where = resource_dir("grammar").parent
    if wrong:
        yield Found("packages", "problem", "; ".join(wrong), "pip install --upgrade lossgen")
    else:
        yield Found("packages", "ok", f"lossgen {lossgen} in {where}; its {count} requirements are met")


def _torch() -> Iterator[Found]:
    import torch

    weight = torch.ones(2, requires_grad=True)
    torch.autograd.backward((weight * weight).sum())
    what = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    yield Found("PyTorch", "ok", what)
    built = torch.version.cuda or torch.version.hip
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            free, total = torch.cuda.mem_get_info(number)
            said = f"{card.name}, {free / 1024**3:.1f} of {total / 1024**3:.1f} GiB free"
            x = torch.ones(64, 64, device=f"cuda:{number}")
            sound = float((x @ x).sum()) == 64.0**3
            advice = "" if sound else "it computes wrongly: check the driver"
            yield Found(f"GPU {number}", "ok" if sound else "problem", f"{said}: give --device cuda", advice)
    elif built and shutil.which("nvidia-smi"):
        yield Found(
            "GPU", "problem", f"there is a driver, and PyTorch (for CUDA {built}) finds no GPU",
            "the driver may be too old for this PyTorch: nvidia-smi and https://pytorch.org say which go together; "
            "CUDA_VISIBLE_DEVICES may hide it",
        )  # fmt: skip
    elif shutil.which("nvidia-smi"):
        yield Found(
            "GPU", "note", "there is a driver, and this PyTorch is built for the CPU alone",
            "https://pytorch.org says how to install the one for CUDA",
        )  # fmt: skip
    else:
        yield Found("GPU", "note", "none is found: trainings run on the CPU", "small images and DCGANs do well there")


def _cores() -> Iterator[Found]:
    known = cpu()
    named = next((part for part in known.split("; ") if part.startswith("model name")), known[:60])
    workers = default_workers("cpu")
    what = f"{os.cpu_count()} cores, {workers} of them for workers; {named.removeprefix('model name: ')}"
    told = os.environ.get("LOSSGEN_WORKERS")
    yield Found("processor", "ok", what + (f" (LOSSGEN_WORKERS is {told})" if told else ""))


def _engine() -> Iterator[Found]:
    """One loss through all rooms: parsed, screened by the kernel, emitted, and its module compared with it."""
    from lossgen.codegen.load import load_argument
    from lossgen.codegen.torch_module import emit_torch
    from lossgen.codegen.verify import verify_module
    from lossgen.kernel import _dispatch
    from lossgen.kernel.screen import screen
    from lossgen.language.lower import lower_loss

    began = time.perf_counter()
    loss = load_argument("ganetic").loss
    screened = screen([lower_loss(loss)])[0]
    verify_module(loss, emit_torch(loss))
    took = time.perf_counter() - began
    if screened.rejection is not None:
        yield Found(
            "engine", "problem", f"the screen rejects GANetic: {screened.detail}", "report this, with this page"
        )
        return
    yield Found("engine", "ok", f"a loss was screened, emitted and compared with its module in {took:.1f} s")
    folder = Path(_dispatch.run.stats.cache_path)  # where the package cannot be written, another of Numba's choice
    kept = list(folder.rglob("*.nbc")) if folder.is_dir() else []
    if kept:
        size = sum(file.stat().st_size for file in kept)
        yield Found("Numba cache", "ok", f"{len(kept)} compiled functions, {size / 1024**2:.0f} MiB, in {folder}")
    else:
        yield Found(
            "Numba cache", "note", f"nothing is kept in {folder}: each start compiles anew, about a minute",
            "make the folder writable, or set NUMBA_CACHE_DIR to one that is",
        )  # fmt: skip


def _compiler() -> Iterator[Found]:
    from lossgen.codegen.full_checks import compiler

    found = compiler()
    if found is None:
        yield Found(
            "C++ compiler", "note", "none is found: torch.compile of a loss is not tried, and losses run as they are",
            "install g++ or clang++ (apt install g++, xcode-select --install), or set CXX",
        )  # fmt: skip
        return
    if sys.platform == "win32":  # its own environment says where its headers are
        yield Found("C++ compiler", "ok", found)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.cpp"
        source.write_text("#include <cmath>\nint main() { return std::sqrt(0.0) != 0.0; }\n")
        command = [found, str(source), "-o", str(Path(folder) / "a")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[0]
        advice = "install the headers of the standard library, or set CXX to another compiler"
        yield Found("C++ compiler", "problem", f"{found} does not compile: {said}", advice)
    else:
        yield Found("C++ compiler", "ok", f"{found} compiles, as torch.compile needs it")


def _data() -> Iterator[Found]:
    from lossgen.gan.describe import available
    from lossgen.gan.sources import data_root

    root, named = data_root(None), os.environ.get("LOSSGEN_DATA")
    if named and not root.is_dir():
        yield Found(
            "data", "problem", f"LOSSGEN_DATA names {root}, which is no folder", "create it, or unset LOSSGEN_DATA"
        )
        return
    found = [row.name for row in available(None) if row.state == "present"]
    what = f"digits come with scikit-learn; under {root}: {', '.join(found) or 'nothing'}"
    advice = "" if named or found else "lossgen data lists what can be fetched; LOSSGEN_DATA names a folder of yours"
    yield Found("data", "ok", what, advice)


def _disk() -> Iterator[Found]:
    for name, folder in (("here", Path.cwd()), ("cache", cache_dir())):
        there = folder
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        what = f"{folder}: {free / 1024**3:.1f} GiB free"
        writable = os.access(there, os.W_OK)
        if not writable:
            advice = "work in another folder" if name == "here" else "set LOSSGEN_CACHE to a folder that can be written"
            yield Found(f"disk, {name}", "problem", f"{folder} cannot be written", advice)
        elif free < LEAST_DISK:
            yield Found(f"disk, {name}", "problem", what, f"free some: {LEAST_DISK / 1024**3:.0f} GiB are needed")
        else:
            yield Found(f"disk, {name}", "ok", what)


def _extras() -> Iterator[Found]:
    for extra, (module, what_for) in EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            yield Found(f"extra {extra}", "note", f"not installed ({what_for})", f"pip install 'lossgen[{extra}]'")
        else:
            name = module.replace("_", "-")
            yield Found(f"extra {extra}", "ok", f"{module} {importlib.metadata.version(name)} ({what_for})")


CHECKS: dict[str, Callable[[], Iterator[Found]]] = {
    "Python": _python, "packages": _packages, "PyTorch": _torch, "processor": _cores, "engine": _engine,
    "C++ compiler": _compiler, "data": _data, "disk": _disk, "extras": _extras,
}  # fmt: skip
