"""The processors that trainings share."""

import os


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none where PyTorch finds none."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def default_workers(runner: str, device: str) -> int:
    """Worker processes where none were asked for: one a core; for commands on "cuda" one a GPU, else one for a GPU."""
    import joblib

    if device == "cpu":
        return int(joblib.cpu_count())
    return max(1, len(gpus())) if (runner, device) == ("command", "cuda") else 1
