"""Processes: what a launcher (`accelerate launch`, torchrun) says of those that it started together."""

from __future__ import annotations

import os


def process_count() -> int:
    """How many train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def weights_are_shared() -> bool:
    """Whether each process holds a part of every weight (FSDP, DeepSpeed ZeRO-3), as `accelerate launch` says."""
    zero = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "")
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true" or zero == "3"
