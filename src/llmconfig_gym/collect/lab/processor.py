"""The processor as the lab computes on it: one thread, denormal numbers flushed to zero; and as it was, afterwards.

Flushing is a state of the whole process. Left on, it breaks what others compute there: SciPy's k-d tree crashes, and
Hypothesis refuses to draw floats.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
