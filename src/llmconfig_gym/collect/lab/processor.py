"""The processor the lab computes on: its name, its state while the lab computes, and that state undone afterwards.

Flushing is a state of the whole process. Left on, it breaks what others compute there: SciPy's k-d tree crashes, and
Hypothesis refuses to draw floats.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmconfig_gym.errors import CollectError


@contextmanager
def lab_arithmetic() -> Iterator[None]:
    """One thread (sums are ordered by the number of threads) and no denormals (they are up to 100 times slower)."""
    import torch

    threads, flushing = torch.get_num_threads(), sys.float_info.min / 2 == 0
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)


def device_name(device: str) -> str:
    """What the run is stored with, for example `cpu: ...` with the processor's name, or the name of a GPU.

    Raises CollectError if PyTorch cannot use the device.
    """
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise CollectError(f"device {device!r} cannot be used here: {str(problem).splitlines()[0]}") from None
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else f"{device}: {_processor()}"


def _processor() -> str:
    """The processor's name where Linux tells it, else the machine type."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
