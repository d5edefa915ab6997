"""Whether every distribution that is installed here is pinned in constraints.txt, at the version it has.

What is installed and not pinned is what nobody looked at: a dependency's new dependency. Needs no network.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = {"autollmresearch", "pip"}


def canonical(name: str) -> str:
    """As package indexes compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {canonical(name): version for name, version in pinned.items()}
    found = {canonical(d.metadata["Name"]): d.version for d in distributions()}
    wrong = [
        f"{name} {version} is installed, {pins.get(name, 'nothing')} is pinned"
        for name, version in sorted(found.items())
        if name not in OURS and pins.get(name) != version.partition("+")[0]
    ]
    print("\n".join(wrong) or f"all {len(found)} installed distributions are pinned")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
