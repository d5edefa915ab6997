"""A collected suite on disk: the suite, and beside it everything that is needed to make and to check it again.

The directory holds `suite.json` and `tables/` (as `Suite.save` writes them), `runs.parquet` (every run),
`sweep.json` (the runner's manifest: all settings) and `README.md` (the card). It is written whole or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmconfig_gym.catalog import SOURCES
from llmconfig_gym.collect.card import render_card
from llmconfig_gym.collect.driver import MANIFEST, Row, Runner
from llmconfig_gym.collect.raw_runs import RAW_RUNS, read_runs, write_runs
from llmconfig_gym.collect.runners import runner_of
from llmconfig_gym.errors import CollectError
from llmconfig_gym.files import whole_directory, write_text
from llmconfig_gym.suite import Suite

CARD = "README.md"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
CONTENTS = frozenset(("suite.json", "tables", RAW_RUNS, MANIFEST, CARD))


def check_name(name: str) -> None:
    """Raises CollectError if a suite cannot be called that."""
    if not _NAME.fullmatch(name) or name in SOURCES:
        raise CollectError(
            f"{name!r} cannot be the suite's name; expected letters, digits and . _ + - (see --name), "
            f"and none of {', '.join(SOURCES)}"
        )


def check_place(out: Path, *, replace: bool) -> None:
    """Refuse a place where something else would be lost. Raises CollectError."""
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise CollectError(f"{out} is no directory of its own; choose another place with --out")
    contents = {p.name for p in out.iterdir()}
    if not contents:
        return
    strangers = sorted(contents - CONTENTS)
    if strangers or "suite.json" not in contents:
        found = f"it holds {strangers[0]}" if strangers else "it is no suite"
        raise CollectError(f"{out} exists already and cannot be replaced ({found}); choose another place with --out")
    if not replace:
        raise CollectError(f"{out} exists already; choose another place with --out, or say --replace")


def embed(
    runner: Runner, rows: Sequence[Row], out: Path, *, name: str, manifest: Mapping[str, Any], command: str
) -> Suite:
    """Write the suite that these rows make, in place of what `out` held, and return it.

    Args:
        name: what to call the suite.
        manifest: the runner's when the rows were measured: its code may have changed since.
        command: what a user types to make it again, for the card.
    """
    suite = runner.suite(name, rows)
    with whole_directory(out) as temporary:
        suite.save(temporary, replace=True)
        write_runs(temporary / RAW_RUNS, rows)
        write_text(temporary / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        write_text(temporary / CARD, render_card(suite, rows, manifest, command))
    return suite


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of a collected suite. Raises CollectError if there is none."""
    path = root / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CollectError(f"{root} has no {MANIFEST}; only suites made by `llmconfig-gym collect` have one") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise CollectError(f"{path} cannot be read: {problem}") from None
    if not isinstance(data, dict):
        raise CollectError(f"{path} is not a sweep's manifest")
    return data


def remake(root: Path, name: str) -> Suite:
    """The suite computed again from the runs beside it. Raises CollectError for what is no collected suite."""
    return runner_of(read_manifest(root)).suite(name, read_runs(root / RAW_RUNS))
