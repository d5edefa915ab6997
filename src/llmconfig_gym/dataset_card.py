"""The card that makes a suite's folder a Hugging Face dataset: README.md with YAML front matter.

The folder stays a suite (`suite.json` and `tables/`, read wherever a suite's path is). The front matter declares each
experiment as a configuration of the data set, with its file, its columns and its rows, so that
`datasets.load_dataset(folder, name)` gives its table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmconfig_gym.errors import SuiteFormatError
from llmconfig_gym.files import write_text
from llmconfig_gym.parameter import Parameter, Simplex
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.tasks import task_of
from llmconfig_gym.text import number, value_text

if TYPE_CHECKING:
    import pyarrow

README = "README.md"
PARTS = ("suite.json", "tables", README)
"""What such a folder holds, and nothing else."""

_LICENCES = (
    ("apache-2.0", "apache-2.0"),
    ("mit", "mit"),
    ("cc by-nc-sa 4.0", "cc-by-nc-sa-4.0"),
    ("cc by-sa 4.0", "cc-by-sa-4.0"),
    ("cc by-nc 4.0", "cc-by-nc-4.0"),
    ("cc by 4.0", "cc-by-4.0"),
    ("cc0-1.0", "cc0-1.0"),
)
"""How a suite's licence begins, and the identifier that the front matter has for it."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SNIPPET = """```python
from pathlib import Path

from datasets import load_dataset

folder = str(Path.cwd())  # this folder, or the name of its repository
table = load_dataset(folder, "{name}", split="train")
```"""
_FEATURES = {"double": "float64", "float": "float32"}
"""Arrow's names of types where the front matter has others."""


def save_dataset(suite: Suite, root: Path, *, replace: bool = False) -> None:
    """Write a suite and its card to a directory, whole or not at all.

    Raises:
        SuiteFormatError: something is there already, and `replace` is False or it is more than such a folder.
    """
    if root.is_symlink():
        raise SuiteFormatError(f"{root} is a link; name the directory itself, or choose another place")
    if root.is_dir() and (strangers := sorted(p.name for p in root.iterdir() if p.name not in PARTS)):
        raise SuiteFormatError(f"{root} also holds {strangers[0]}, so it is not replaced; choose another place")
    suite.save(root, replace=replace, also=lambda folder: write_text(folder / README, render(suite, folder)))


def render(suite: Suite, root: Path) -> str:
    """The card of the suite that was written to `root`, as Markdown with YAML front matter."""
    import yaml

    front = yaml.safe_dump(_front_matter(suite, root), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{front}---\n\n" + "\n\n".join(_body(suite)) + "\n"


def _front_matter(suite: Suite, root: Path) -> dict[str, Any]:
    import pyarrow.parquet

    configs, infos = [], []
    for s in suite.summaries:
        name = _short(s.id)
        file = f"tables/{name}.parquet"
        table = pyarrow.parquet.read_table(root / file)
        split = {"name": "train", "num_bytes": table.nbytes, "num_examples": table.num_rows}
        size = {"download_size": (root / file).stat().st_size, "dataset_size": table.nbytes}
        infos.append({"config_name": name, "features": _features(table.schema), "splits": [split], **size})
        configs.append({"config_name": name, "data_files": [{"split": "train", "path": file}]})
    rows = sum(s.configurations for s in suite.summaries)
    return {
        "pretty_name": suite.card.title or suite.name,
        **_licence(suite.card),
        "task_categories": ["tabular-regression"],
        "tags": ["hyperparameter-optimization", "multi-fidelity", "llmconfig-gym"],
        "size_categories": [next((name for most, name in _SIZES if rows < most), "n>1M")],
        "configs": configs,
        "dataset_info": infos,
    }


def _features(schema: pyarrow.Schema) -> list[dict[str, str]]:
    return [{"name": f.name, "dtype": _FEATURES.get(str(f.type), str(f.type))} for f in schema]


def _licence(card: Card) -> dict[str, str]:
    """What the front matter says of the terms: an identifier where there is one, else that they are the card's own."""
    said = card.licence.lower()
    for beginning, identifier in _LICENCES:
        if re.match(rf"{re.escape(beginning)}(?![\w.-])", said):
            return {"license": identifier}
    return {"license": "other", "license_name": "see-the-card"} if said else {"license": "unknown"}


def _body(suite: Suite) -> list[str]:
    card = suite.card
    first = _short(suite.ids[0])
    provenance = [
        f"- Licence: {card.licence or 'none is stated'}",
        *([f"- Upstream: {card.url}"] if card.url else []),
        *([f"- Cite: {card.citation}"] if card.citation else []),
        *([f"- Made by: `{card.maker}`"] if card.maker else []),
        *(f"- {note}" for note in card.notes),
    ]
    families = "Experiments of one family differ in fidelity only. Those of level `high` are for final tests."
    return [
        f"# {suite.name}",
        f"{card.title or suite.name}." if not card.title.endswith(".") else card.title,
        "Measured LLM experiments: one table per experiment, one row per configuration that was measured.",
        "## Use",
        _SNIPPET.format(name=first),
        "The folder is also a suite of LLMConfig-Gym:",
        "```sh\nllmconfig-gym list .\n```",
        "## Licence and provenance",
        "\n".join(provenance),
        "## Experiments and their fidelities",
        families,
        _table(("configuration", "task", "family", "level", "fidelity", "cost", "rows", "value"), _experiments(suite)),
        "## Columns",
        "\n\n".join(_columns(suite)),
    ]


def _experiments(suite: Suite) -> Iterable[Sequence[str]]:
    for s in suite.summaries:
        fidelity = ", ".join(f"{k} {value_text(v)}" for k, v in s.fidelity.values.items())
        cost = f"{number(s.fidelity.cost)} {s.fidelity.unit}"
        value = f"{s.metric.name}, {s.metric.direction}"
        yield _short(s.id), s.task, s.family, s.level, fidelity, cost, str(s.configurations), value


def _columns(suite: Suite) -> Iterable[str]:
    """For each kind of table among the experiments: what its columns hold."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for s in suite.summaries:
        e = suite.experiment(s.id)
        seen.setdefault((s.task, s.metric.name, *e.space.names, *e.details), []).append(s.id)
    for ids in seen.values():
        e = suite.experiment(ids[0])
        about = task_of(e.task).parameters
        rows = [(c, t) for p in e.space.parameters for c, t in _parameter_columns(p, p.about or about.get(p.name, ""))]
        rows.append(("value", f"{e.metric.name}, {e.metric.direction}: {e.metric.about or 'what is optimised'}"))
        rows += [(f"detail.{d}", e.metric.details.get(d) or "measured beside it") for d in e.details]
        if e.spread is not None:
            rows.append(("spread", "sample standard deviation of value between runs of one configuration"))
        if e.replicates is not None:
            rows.append(("replicates", "how many runs the value is the mean of"))
        yield ", ".join(f"`{_short(i)}`" for i in ids) + ":"
        yield _table(("column", "what it holds"), [(f"`{column}`", text) for column, text in rows])
    yield "A value that is missing or infinite is that of a run that diverged."


def _parameter_columns(p: Parameter, about: str) -> Iterable[tuple[str, str]]:
    text = about + (f" ({p.unit})" if p.unit else "")
    if isinstance(p, Simplex):
        yield f"config.{p.name}.*", text or "a mixture; its weights sum to 1"
        yield from ((f"config.{p.name}.{c}", f"weight of {c}") for c in p.components)
    else:
        yield f"config.{p.name}", text or f"setting, {p.kind}"


def _short(id_: str) -> str:
    """An experiment's id without the suite's name: what its table and its configuration are called."""
    return id_.partition("/")[2]


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (headers, *rows)]
    cells.insert(1, ["---"] * len(headers))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
