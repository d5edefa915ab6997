"""What can be learned from a suite: one line per experiment, one per family, and how many reach each goal.

    python benchmarks/suite_quality.py [SUITE ...]        (default: micro)

The goals of the embedded suite: the best configuration strictly inside the range of every ordered parameter in at
least 70% of experiments; (median - best) at least five times the noise floor; the best configuration differs between
the cheapest and the dearest experiment in at least half of the families; their rank correlation is between 0.2 and
0.95.
"""

from __future__ import annotations

import sys

from llmconfig_gym.catalog import load_suite
from llmconfig_gym.cli.common import print_table
from llmconfig_gym.collect.card import FAMILY_HEADERS, family_rows
from llmconfig_gym.collect.quality import ENOUGH, RANKED, quality, transfers


def main(names: list[str]) -> None:
    """Print the tables of each suite."""
    for name in names or ["micro"]:
        suite = load_suite(name)
        found = [quality(suite.experiment(i)) for i in suite.ids]
        families = transfers(suite)
        print(f"{suite.name}\n")
        print_table(
            ("experiment", "level", "configurations", "replicated", "at the edge", "(median - best) / noise"),
            [
                (q.experiment, q.level, q.configurations, q.replicated, ", ".join(q.edges) or "-", f"{q.ratio:.1f}")
                for q in found
            ],
        )
        print()
        print_table(FAMILY_HEADERS, family_rows(families))
        goals = (
            ("best inside the grid", sum(not q.edges for q in found), len(found)),
            (f"(median - best) at least {ENOUGH:g} x noise", sum(q.ratio >= ENOUGH for q in found), len(found)),
            ("informative (both)", sum(not q.shortcomings for q in found), len(found)),
            ("the best moves from cheapest to dearest", sum(t.moved for t in families), len(families)),
            (f"Spearman between {RANKED[0]:g} and {RANKED[1]:g}", sum(t.ranked for t in families), len(families)),
        )
        print()
        print_table(("goal", "reached", "of"), goals)
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
