"""Live studies: proposals for runs that are really made, kept in Optuna's storage.

import optuna
from autollmresearch.live import AutoLLMSampler

study = optuna.create_study(sampler=AutoLLMSampler(evidence=[cheap_study], fidelity={"N": 7e9}))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autollmresearch.live.sampler import AutoLLMSampler
    from autollmresearch.live.storage import open_storage

__all__ = ["AutoLLMSampler", "open_storage"]


def __getattr__(name: str) -> Any:
    """Both names on first use: they import Optuna, which `autollmresearch --help` must not."""
    if name == "AutoLLMSampler":
        from autollmresearch.live.sampler import AutoLLMSampler

        return AutoLLMSampler
    if name == "open_storage":
        from autollmresearch.live.storage import open_storage

        return open_storage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
