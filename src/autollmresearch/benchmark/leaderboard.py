"""Leaderboard: how all methods stand, from rows alone, whoever made them.

Rows are those of `results.parquet` (docs/benchmark.md); of their columns `COLUMNS` are enough. Those of several
benchmarks are put together: a method of your own beside the ones that others have measured. Methods are compared on the
seeds that all of them were run with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from autollmresearch.benchmark.plots import rank_picture
from autollmresearch.benchmark.standing import Standing, complete, duels, standings
from autollmresearch.benchmark.tables import Table, overall
from autollmresearch.errors import ResultsMismatch

if TYPE_CHECKING:
    import pandas as pd

WORDS = ("method", "suite", "task", "experiment", "protocol")
EPISODE = [*WORDS, "seed", "trial"]
COLUMNS = (*EPISODE, "simple_regret", "cumulative_regret", "seconds")


def read_rows(places: Sequence[Path], suites: Sequence[str] = (), protocols: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of several benchmarks, with the seeds that all methods of a protocol have.

    Args:
        places: Parquet files of rows, or directories of benchmarks that are finished.
        suites, protocols: which; all by default.

    Raises:
        ResultsMismatch: there are no such rows, columns are missing, an episode is there twice, or episodes of one
            protocol have different numbers of trials or no seed in common.
    """
    import pandas as pd

    parts = []
    for place in places:
        part = _read(place / "results.parquet" if place.is_dir() else place)
        for column, names in (("suite", suites), ("protocol", protocols)):
            part = part[part[column].isin(names)] if names else part
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        wanted = f" of {', '.join((*suites, *protocols))}" if suites or protocols else ""
        raise ResultsMismatch(f"there are no rows{wanted} in {_list(places)}")
    twice = frame[frame.duplicated(EPISODE)]
    if len(twice):
        row = twice.iloc[0]
        raise ResultsMismatch(
            f"{row['method']} on {row['experiment']} under {row['protocol']} with seed {row['seed']} is in "
            f"{_list(places)} more than once; name its rows once"
        )
    return pd.concat([_common(str(protocol), part) for protocol, part in frame.groupby("protocol", sort=False)])


def _list(places: Iterable[Path]) -> str:
    return ", ".join(map(str, places))


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as problem:  # what pyarrow raises is one of these
        raise ResultsMismatch(f"{path} holds no rows of a benchmark ({problem}); expected a results.parquet") from None
    if missing := [c for c in COLUMNS if c not in frame.columns]:
        raise ResultsMismatch(f"{path} holds no rows of a benchmark: no column {', '.join(missing)}")
    return frame[list(COLUMNS)].astype(dict.fromkeys(WORDS, str))


def _common(protocol: str, part: pd.DataFrame) -> pd.DataFrame:
    """The rows of one protocol, with the seeds that all its methods have."""
    budgets = part.groupby("method")["trial"].max()
    if budgets.nunique() > 1:
        found = ", ".join(f"{method} {budget}" for method, budget in budgets.drop_duplicates().items())
        raise ResultsMismatch(f"episodes under {protocol} have different numbers of trials ({found}); run one --budget")
    seeds = set.intersection(*({*rows["seed"]} for _, rows in part.groupby("method")))
    if not seeds:
        raise ResultsMismatch(f"methods under {protocol} have no seed in common; run more --seeds")
    return part[part["seed"].isin(seeds)]


def tables(frame: pd.DataFrame, against: str | None = None) -> list[tuple[Standing, Table]]:
    """The standing of all methods under each protocol, compared with one of them (the best by default)."""
    return [(standing, overall(standing)) for standing in standings(frame, against)]


def write_leaderboard(path: Path, frame: pd.DataFrame, found: Sequence[tuple[Standing, Table]]) -> Path:
    """Write what `tables` found in these rows as one HTML page that needs no other; returns its path."""
    from llmconfig_gym.files import write_text

    pairs = {protocol: list(duels(part, names)) for protocol, part, names, _ in complete(frame)}
    sections = [_section(s, table, pairs[s.protocol], _seeds(frame, s)) for s, table in found]
    write_text(path, _PAGE.replace("BODY", "\n".join(sections)))
    return path


def _seeds(frame: pd.DataFrame, standing: Standing) -> int:
    return int(frame[frame["protocol"] == standing.protocol]["seed"].nunique())


def _section(standing: Standing, table: Table, pairs: list[tuple[str, str, tuple[int, int, int]]], seeds: int) -> str:
    names = [p.method for p in standing.places]
    known = {(a, b): " / ".join(map(str, counts)) for a, b, counts in pairs}
    every = Table("", ("", *names), tuple((a, *(known.get((a, b), "") for b in names)) for a in names))
    parts = [f"<h2>{escape(table.title)}</h2>", f"<p>{seeds} seeds. {escape(difference(standing))}</p>"]
    if len(names) > 2:
        parts.append(_svg(standing))
    parts.append(_html(table))
    if standing.missing:
        parts.append(f"<p>Not run on all of them, so left out: {escape(', '.join(standing.missing))}.</p>")
    won = "Experiments won / tied / lost, every method (row) against every other"
    parts.append(f"<details><summary>{won}</summary>{_html(every)}</details>")
    return "\n".join(parts)


def difference(standing: Standing) -> str:
    """What the ranks say, in a sentence."""
    if standing.critical != standing.critical:
        return "Fewer than three methods: ranks are not tested."
    return (
        f"Average ranks that differ by less than {standing.critical:.2f} cannot be told apart (Nemenyi, 5 %; that all "
        f"are the same: p = {standing.chance:.2g}, Friedman)."
    )


def _svg(standing: Standing) -> str:
    text = StringIO()
    rank_picture(standing).savefig(text, format="svg")  # words as paths: nothing in it can be taken for markup
    _, _, svg = text.getvalue().partition("<svg")
    return f"<svg{svg}"


def _html(table: Table) -> str:
    from tabulate import tabulate

    return f'<div class="wide">{tabulate(table.rows, table.headers, tablefmt="html", disable_numparse=True)}</div>'


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Leaderboard</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
body { color: #111; background: #fff; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .25rem .6rem; text-align: left; white-space: nowrap; border-bottom: 1px solid #ddd; }
tbody tr:nth-child(even) { background: #f6f6f6; }
svg { max-width: 100%; height: auto; }
summary { cursor: pointer; }
</style>
</head>
<body>
<h1>Leaderboard</h1>
<p>Regret: 0 is the best of a table, 1 the worst. Brackets are 95 % intervals of paired differences, over experiments
and seeds; won and lost means that the interval over seeds does not hold 0.</p>
BODY
</body>
</html>
"""
