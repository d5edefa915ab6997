"""Report: every method and number, in every format, from the rows alone, with hostile names shown as text."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.report import Table, digits, headline, overall, scales, write_report
from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.benchmark.standing import standings
from autollmresearch.benchmark.summary import Group, summarize
from autollmresearch.cli.main import main
from autollmresearch.errors import ResultsMismatch

Frame = Callable[..., pd.DataFrame]
CUBE = np.array([[[0.5, 0.25, 0.125], [0.4, 0.04, 0.0]], [[1.0, 0.9, 0.2], [0.7, 0.1, 0.1]]])
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Tags, text and table rows of a page; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        self.text += data


@pytest.fixture(scope="module")
def finished(toy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark with its report."""
    out = tmp_path_factory.mktemp("runs") / "out"
    methods = ("random", "copy", "pooled-gp:points=60")
    settings = BenchmarkSettings((str(toy_path),), ("metered:4",), methods, budget=3, seeds=2)
    write_report(out, run_benchmark(settings, out, progress=False))
    return out


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """A directory with a benchmark's settings and nothing else."""
    (tmp_path / "settings.json").write_bytes((finished / "settings.json").read_bytes())
    return tmp_path


def tables(frame: pd.DataFrame) -> list[Table]:
    groups = [table for group in summarize(frame) for table in (headline(group), scales(group))]
    return [*map(overall, standings(frame)), *groups]


def test_what_is_not_applicable_is_said_in_every_format_even_if_nothing_else_is(
    toy_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", "--suite", str(toy_path), "--methods", "published-law", "--budget", "2", "--seeds", "1"]
    assert main([*command, "--workers", "1", "--no-progress", "--out", str(tmp_path / "out")]) == 0
    sentence = "Not applicable: published-law (the law says a learning rate and a batch size; this space has weights)."
    assert sentence in capsys.readouterr().out
    assert sentence in (tmp_path / "out" / "report.md").read_text()
    assert sentence in Page((tmp_path / "out" / "report.html").read_text()).text


def test_both_pages_hold_every_number_of_every_method(finished: Path) -> None:
    frame = pd.read_parquet(finished / "results.parquet")
    expected = [list(row) for table in tables(frame) for row in (table.headers, *table.rows)]
    assert len(expected) == (3 * 2 + 1) * (1 + 3)  # tasks, tables, and the one of all; headers and methods
    page = Page((finished / "report.html").read_text(encoding="utf-8"))
    assert page.rows == expected
    markdown = (finished / "report.md").read_text(encoding="utf-8")
    lines = [line for line in markdown.splitlines() if line.startswith("|") and not line.startswith("|:-")]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] == expected
    for group in summarize(frame):
        assert group.title in page.text
        assert group.title in markdown
        assert all(id_ in page.text and id_ in markdown for id_ in group.experiments)


def test_the_numbers_shown_are_those_of_the_rows(finished: Path) -> None:
    frame = pd.read_parquet(finished / "results.parquet")
    group = next(iter(summarize(frame)))
    part = frame[(frame["task"] == group.task) & (frame["protocol"] == group.protocol)]
    for row, unclipped in zip(headline(group).rows, scales(group).rows, strict=True):
        for column, budget in ((1, 1), (2, 3)):
            mine = part[(part["method"] == row[0]) & (part["trial"] == budget)]
            assert row[column].split(" ")[0] == digits(mine["simple_regret"].mean())
            assert unclipped[column] == digits(mine["simple_regret_unclipped"].mean())


def test_the_pages_say_with_what_they_were_made(finished: Path) -> None:
    manifest = json.loads((finished / "settings.json").read_text(encoding="utf-8"))
    page = Page((finished / "report.html").read_text(encoding="utf-8"))
    for text in (page.text, (finished / "report.md").read_text(encoding="utf-8")):
        assert manifest["digest"][:12] in text
        assert "3 trials per episode, 2 seeds" in text
    assert manifest["digest"] in page.text


def test_the_html_page_needs_no_other_file_and_runs_no_script(finished: Path) -> None:
    page = Page((finished / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("img") == 4
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    pages = [value for value in sources if value and value.startswith("experiments/")]
    assert all(value and value.startswith(("data:image/png;base64,", "#", "experiments/")) for value in sources)
    assert sorted(pages) == sorted(f"experiments/{p.name}" for p in (finished / "experiments").iterdir())
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_markdown_page_shows_pictures_that_are_there(finished: Path) -> None:
    names = re.findall(r"!\[[^]]*\]\(([^)]*)\)", (finished / "report.md").read_text(encoding="utf-8"))
    assert sorted(names) == sorted(p.name for p in finished.glob("*.png"))
    assert len(names) == 4


def test_a_report_from_the_rows_alone_is_the_one_the_run_made(finished: Path, place: Path) -> None:
    write_report(place, pd.read_parquet(finished / "results.parquet"))
    for name in ("report.md", "report.html", *(p.name for p in finished.glob("*.png"))):
        assert (place / name).read_bytes() == (finished / name).read_bytes(), name


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "</table></body>",
    "' onmouseover='alert(1)",
)


def test_hostile_names_are_shown_as_text(frame_of: Frame, place: Path) -> None:
    frame = frame_of(dict.fromkeys(HOSTILE, CUBE), suite=HOSTILE[0], task=HOSTILE[1])
    frame["experiment"] = HOSTILE[3] + frame["experiment"]
    harmless = frame_of(dict.fromkeys("abcde", CUBE))
    page = Page(write_report(place, frame).read_text(encoding="utf-8"))
    assert all(name in page.text for name in HOSTILE)
    assert {row[0] for row in page.rows} == {"method", *HOSTILE}
    assert f"{HOSTILE[0]} ({HOSTILE[1]}), protocol full" in page.text
    plain = Page(write_report(place, harmless).read_text(encoding="utf-8"))
    assert page.tags == plain.tags
    assert [n for n, _ in page.attributes] == [n for n, _ in plain.attributes]


def test_a_report_without_settings_or_with_damaged_ones_is_refused(frame_of: Frame, tmp_path: Path) -> None:
    for text in (None, "{", "[]"):
        if text is not None:
            (tmp_path / "settings.json").write_text(text)
        with pytest.raises(ResultsMismatch, match=r"settings\.json is missing or damaged"):
            write_report(tmp_path, frame_of({"copy": CUBE}))
        assert [p for p in tmp_path.iterdir() if p.name != "settings.json"] == []


def one(frame: pd.DataFrame) -> Group:
    return next(iter(summarize(frame)))


def test_the_best_and_those_that_tie_with_it_are_named(frame_of: Frame) -> None:
    noise = np.array([[[0.01], [-0.01]], [[0.02], [-0.01]]])
    base = np.full((2, 2, 1), 0.1)
    table = headline(one(frame_of({"copy": base, "random": base + 0.5, "agent": base + noise})))
    column = table.headers.index("behind the best, b=1")
    shown = {row[0]: row[column] for row in table.rows}
    assert shown["copy"] == "best"
    assert shown["random"] == ".500 [.500, .500]"
    assert re.fullmatch(r"\.003 \[-\.\d{3}, \.\d{3}\] \(tie\)", shown["agent"]) or shown["agent"].endswith("(tie)")


def test_what_is_unknown_is_said_to_be(frame_of: Frame) -> None:
    unknown = {"within_noise": pd.NA, "median_regret": np.nan, "excess_percent": np.nan}
    group = one(frame_of({"copy": CUBE}, **unknown))
    assert headline(group).rows[0][-2] == "unknown"
    assert scales(group).rows[0][3:] == ("-", "-", "-", "-")


def test_tokens_and_cost_are_shown_where_there_are_any(frame_of: Frame) -> None:
    frame = frame_of({"copy": CUBE, "endpoint:m": CUBE})
    plain = headline(one(frame))
    assert plain.headers[-1] == "s / proposal"
    mine = frame["method"] == "endpoint:m"
    frame.loc[mine, ["read_tokens", "written_tokens"]] = [1200, 31]
    counted = headline(one(frame))
    assert counted.headers == (*plain.headers, "tokens read / proposal", "written / proposal")
    assert [row[-2:] for row in counted.rows] == [("-", "-"), ("1200", "31")]
    frame.loc[mine, "cost"] = 0.0025
    priced = headline(one(frame))
    assert priced.headers == (*counted.headers, "cost, all proposals")
    assert [row[-1] for row in priced.rows] == ["-", f"{0.0025 * CUBE.size:.4g}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, ".000"),
        (0.0174, ".017"),
        (0.9994, ".999"),
        (0.9996, "1.00"),
        (1.0, "1.00"),
        (12.345, "12.35"),
        (np.nan, "-"),
    ],
)
def test_regrets_have_three_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_each_experiment_has_a_page_of_what_was_chosen_first_and_what_came_of_it(finished: Path) -> None:
    frame = pd.read_parquet(finished / "results.parquet")
    pages = sorted((finished / "experiments").iterdir(), key=lambda p: int(p.name.split("-")[0]))
    for path, (name, rows) in zip(pages, frame.groupby("experiment", sort=False), strict=True):
        page = Page(path.read_text(encoding="utf-8"))
        assert f"<h1>{name}</h1>" in path.read_text(encoding="utf-8")
        shown = {row[0]: row[1:] for row in page.rows[1:]}
        assert set(shown) == set(rows["method"])
        copy = rows[rows["method"] == "copy"]
        first, share, *regrets, total = shown["copy"]
        assert first in set(copy.loc[copy["trial"] == 1, "config"])
        assert share in ("50 %", "100 %"), "of two seeds"
        by_trial = copy.groupby("trial")["simple_regret"].mean()
        assert regrets == [digits(by_trial[1]), digits(by_trial[3])]
        assert total == f"{copy.loc[copy['trial'] == 3, 'cumulative_regret'].mean():.2f}"


def test_on_its_page_a_method_that_is_not_applicable_says_why(frame_of: Frame, place: Path) -> None:
    refused = {"outcome": "not applicable", "config": "it has no width", "simple_regret": np.nan}
    frame = pd.concat([frame_of({"copy": CUBE}), frame_of({"tpe": CUBE}).assign(**refused, cumulative_regret=np.nan)])
    write_report(place, frame)
    page = Page((place / "experiments" / "1-made-e0.html").read_text(encoding="utf-8"))
    assert ["tpe", "it has no width", "not applicable", "-", "-", "-"] in page.rows
