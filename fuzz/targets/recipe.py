"""Recipes in YAML: of the agent's training and of a learned baseline's."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from autollmresearch.training.games import read_play_recipe
from autollmresearch.training.metabo import MetaBORecipe
from autollmresearch.training.recipe import read_recipe
from fuzz.scratch import put

RUNS, LONGEST = 20_000, 1500
WORDS = (
    *(
        b": ",
        b"\n  ",
        b"- ",
        b"!!int ''",
        b"!!timestamp x",
        b"!!python/object/apply:os.system [ls]",
        b"&a ",
        b"*a",
        b"<<: ",
    ),
    *(
        b"!!binary x",
        b"!!bool x",
        b"!!float ''",
        b"---\n",
        b"? ",
        b"|",
        b"%YAML 1.1\n",
        b"1e3",
        b"7B",
        b"~",
        b"[",
        b"{",
        b"2001-01-01",
    ),
)
FILES = Path(__file__).parents[2] / "recipes"


def seeds() -> list[bytes]:
    sections = yaml.safe_load((FILES / "cpu-smoke.yaml").read_bytes())
    parts = [{k: v} for k, v in sections.items()]
    return [
        b"seed: 1\nmodel: {layers: 2}\nagent:\n  style: &s {top: 3}\n",
        *(json.dumps(p).encode() for p in (*parts, sections)),
    ]


def too_slow(data: bytes) -> bool:
    """Many open brackets: they are refused, but PyYAML first looks a thousand characters ahead of each."""
    return data.count(b"{") + data.count(b"[") > 80


def read(data: bytes) -> object:
    if too_slow(data):
        return None
    path = put("recipe.yaml", data)
    return read_play_recipe(MetaBORecipe, path) if b"hidden" in data or b"drawn" in data else read_recipe(path)
