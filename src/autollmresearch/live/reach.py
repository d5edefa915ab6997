"""A live study as people name it: by its name, or by the directory in which `run` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autollmresearch.live.study import LiveStudy

DEFAULT_STORAGE = "sqlite:///autollmresearch.db"
"""Where studies are kept unless a user says otherwise: a file in the current directory."""


def reach_study(name: str, storage: str | None = None) -> LiveStudy:
    """The study that is meant.

    Args:
        name: its name, or the directory in which it is run.
        storage: the URL of its storage; by default what the directory says, else `DEFAULT_STORAGE`.

    Raises:
        StudyProblem, StorageProblem: as `load_study`.
        InvalidSettings: the directory's settings are damaged.
    """
    from autollmresearch.live.settings import SETTINGS, read_saved
    from autollmresearch.live.study import load_study

    if storage is None and (Path(name) / SETTINGS).is_file():
        saved = read_saved(Path(name))
        return load_study(saved["name"], saved["storage"])
    return load_study(name, storage or DEFAULT_STORAGE)
