"""What decides the lab's numbers besides the settings: its source files and PyTorch's release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llmconfig_gym.errors import missing_extra


def lab_code(files: Iterable[str]) -> dict[str, Any]:
    """Entries of a sweep's manifest: SHA-256 of these files of the lab, and PyTorch's major and minor version.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    try:
        major, minor, *_ = version("torch").split(".")
    except PackageNotFoundError:
        raise missing_extra("torch", "bench", "the micro lab") from None
    folder = Path(__file__).parent
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    return {"sources": digests, "torch": f"{major}.{minor}"}
