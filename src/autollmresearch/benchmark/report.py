"""Report: `report.md`, pictures and `report.html` (see `autollmresearch.report`), from what a benchmark left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autollmresearch.benchmark.plots import save_curves, save_ranks
from autollmresearch.benchmark.runner import read_manifest
from autollmresearch.benchmark.standing import standings
from autollmresearch.benchmark.summary import Group, summarize
from autollmresearch.benchmark.tables import NOTES, Section, facts, group_section, standing_section
from autollmresearch.report.benchmark import benchmark_run
from autollmresearch.report.page import write_page
from llmconfig_gym.files import write_text

if TYPE_CHECKING:
    import pandas as pd


def write_report(out: Path, frame: pd.DataFrame) -> Path:
    """Write `report.md`, `report.html` and the pictures into `out`; returns the HTML's path."""
    manifest = read_manifest(out)
    sections = [
        *((standing_section(s), save_ranks(s, out) if len(s.places) > 2 else None, "") for s in standings(frame)),
        *((group_section(g), save_curves(g, out), _links(g)) for g in summarize(frame)),
    ]
    write_text(out / "report.md", _markdown(sections, manifest))
    return write_page(out / "report.html", {"runs": [benchmark_run(out, frame)], "comparison": None})


def _links(group: Group) -> str:
    """Where `report.html` shows each of the experiments by itself."""
    names = [(re.sub(r"([\\\[\]<])", r"\\\1", name), quote(name, safe="")) for name in group.experiments]
    return "One by one: " + ", ".join(f"[{text}](report.html#experiment={code})" for text, code in names) + "."


def _markdown(sections: list[tuple[Section, Path | None, str]], manifest: dict[str, Any]) -> str:
    parts = ["# Benchmark", facts(manifest), *NOTES]
    for section, picture, links in sections:
        parts += [f"## {section.title}", section.size, section.table.markdown()]
        parts += [f"![{section.alt}]({picture.name})"] if picture else []
        parts += [links] if links else []
        for table in section.more:
            parts += [f"### {table.title}", table.markdown()]
    return "\n\n".join(parts) + "\n"
