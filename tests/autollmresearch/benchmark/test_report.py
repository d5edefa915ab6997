"""Report: every method and number, in every format, from the rows alone, with hostile names shown as text."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.metrics import bootstrap_interval
from autollmresearch.benchmark.report import write_report
from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.benchmark.standing import standings
from autollmresearch.benchmark.summary import Group, summarize
from autollmresearch.benchmark.tables import Table, digits, headline, overall, scales
from autollmresearch.cli.main import main
from autollmresearch.errors import ResultsMismatch
from autollmresearch.report.landscape import run_text
from llmconfig_gym.suite import Suite

Frame = Callable[..., pd.DataFrame]
CUBE = np.array([[[0.5, 0.25, 0.125], [0.4, 0.04, 0.0]], [[1.0, 0.9, 0.2], [0.7, 0.1, 0.1]]])


class Page(HTMLParser):
    """Tags and attributes of a page, and the data within it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        self.data = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["script"] and len(self.scripts) == 1:
            self.scripts[-1] += data

    @property
    def rows(self) -> list[list[str]]:
        """All rows of the tables of results, headers included."""
        (run,) = self.data["runs"]
        tables = [table for part in (*run["standings"], *run["groups"]) for table in part["tables"]]
        return [row for table in tables for row in (table["headers"], *table["rows"])]


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


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
    """A directory with a benchmark's settings and what it keeps for its report, but no rows and no report."""
    for name in ("settings.json", "targets.json", "episodes.jsonl"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
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
    (run,) = page_of(tmp_path / "out" / "report.html").data["runs"]
    assert any(sentence in group["size"] for group in run["groups"])


def test_both_pages_hold_every_number_of_every_method(finished: Path) -> None:
    frame = pd.read_parquet(finished / "results.parquet")
    expected = [list(row) for table in tables(frame) for row in (table.headers, *table.rows)]
    assert len(expected) == (3 * 2 + 1) * (1 + 3)  # tasks, tables, and the one of all; headers and methods
    page = page_of(finished / "report.html")
    assert page.rows == expected
    markdown = (finished / "report.md").read_text(encoding="utf-8")
    lines = [line for line in markdown.splitlines() if line.startswith("|") and not line.startswith("|:-")]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] == expected
    (run,) = page.data["runs"]
    for group, shown in zip(summarize(frame), run["groups"], strict=True):
        assert group.title == shown["title"]
        assert group.title in markdown
        assert all(id_ in shown["size"] and id_ in markdown for id_ in group.experiments)


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
    (run,) = page_of(finished / "report.html").data["runs"]
    for text in (run["facts"][0], (finished / "report.md").read_text(encoding="utf-8")):
        assert manifest["digest"][:12] in text
        assert "3 trials per episode, 2 seeds" in text
    assert json.loads(run["settings"]) == manifest


def test_the_html_page_needs_no_other_file(finished: Path) -> None:
    page = page_of(finished / "report.html")
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert [value for name, value in page.attributes if name in ("src", "href")] == ["#main"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_each_experiment_has_its_landscape_paths_and_conversations(finished: Path, toy: Suite) -> None:
    (run,) = page_of(finished / "report.html").data["runs"]
    settings = json.loads(run["settings"])["settings"]
    assert [e["name"] for e in run["experiments"]] == [e.id for e in toy.split("high")]
    for shown in run["experiments"]:
        target = toy.experiment(shown["name"])
        (layer,) = shown["layers"]
        measured = target.values[np.isfinite(target.values)]
        best = target.metric.sign * target.best
        assert (layer["runs"], shown["optimum"]["value"]) == (len(target.pool), pytest.approx(best, rel=1e-4))
        assert layer["values"][0] == pytest.approx(best, rel=1e-4)
        assert layer["codes"][0] == shown["optimum"]["code"]
        assert len(layer["codes"]) <= len(measured)
        assert [(p["method"], len(p["trials"])) for p in shown["paths"]] == [
            ("random", 3),
            ("copy", 3),
            ("pooled-gp:points=60", 3),
        ]
        for path in shown["paths"]:
            assert all(len(trial["code"]) == len(shown["axes"]) for trial in path["trials"])
        assert [(e["method"], e["seed"]) for e in shown["episodes"]] == [(m, 0) for m in settings["methods"]]
        assert all(turn["thought"] for e in shown["episodes"] for turn in e["turns"])


def test_what_was_not_kept_is_done_without_and_what_is_damaged_is_refused(finished: Path, place: Path) -> None:
    frame = pd.read_parquet(finished / "results.parquet")
    for name in ("targets.json", "episodes.jsonl"):
        for text in ('{"a": {}}\n', "{"):
            (place / name).write_text(text + "\n")
            with pytest.raises(ResultsMismatch, match=f"{name} is damaged; remove it"):
                write_report(place, frame)
        (place / name).unlink()
    (run,) = page_of(write_report(place, frame)).data["runs"]
    assert all(e["layers"] == [] and e["episodes"] == [] for e in run["experiments"])
    assert all("before tables were kept" in e["facts"][0] for e in run["experiments"])


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


def test_hostile_names_are_data_and_no_markup(frame_of: Frame, place: Path) -> None:
    frame = frame_of(dict.fromkeys(HOSTILE, CUBE), suite=HOSTILE[0], task=HOSTILE[1])
    frame["experiment"] = HOSTILE[3] + frame["experiment"]
    harmless = frame_of(dict.fromkeys("abcde", CUBE))
    page = page_of(write_report(place, frame))
    assert {row[0] for row in page.rows} == {"method", *HOSTILE}
    (run,) = page.data["runs"]
    assert run["groups"][0]["title"] == f"{HOSTILE[0]} ({HOSTILE[1]}), protocol full"
    plain = page_of(write_report(place, harmless))
    assert page.tags == plain.tags
    assert page.attributes == plain.attributes


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


def test_each_experiment_says_what_was_chosen_first_and_what_came_of_it(finished: Path) -> None:
    frame = pd.read_parquet(finished / "results.parquet")
    (run,) = page_of(finished / "report.html").data["runs"]
    for experiment, (name, rows) in zip(run["experiments"], frame.groupby("experiment", sort=False), strict=True):
        assert experiment["name"] == name
        shown = {row[0]: row[1:] for row in experiment["results"][0]["tables"][1]["rows"]}
        assert set(shown) == set(rows["method"])
        copy = rows[rows["method"] == "copy"]
        first, share, *regrets, total = shown["copy"]
        assert first in {run_text(json.loads(text)) for text in copy.loc[copy["trial"] == 1, "config"]}
        assert share in ("50 %", "100 %"), "of two seeds"
        by_trial = copy.groupby("trial")["simple_regret"].mean()
        assert regrets == [digits(by_trial[1]), digits(by_trial[3])]
        assert total == f"{copy.loc[copy['trial'] == 3, 'cumulative_regret'].mean():.2f}"


def test_each_experiment_has_its_regret_by_trial_with_an_interval_over_seeds(frame_of: Frame, place: Path) -> None:
    frame = pd.concat([frame_of({"zoo": CUBE / 2, "copy": CUBE}), frame_of({"gp": CUBE}, protocol="metered:3")])
    (run,) = page_of(write_report(place, frame)).data["runs"]
    for at, experiment in enumerate(run["experiments"]):
        assert [r["protocol"] for r in experiment["results"]] == ["full", "metered:3"]
        assert [p["method"] for p in experiment["paths"]] == ["gp", "copy", "zoo"], "in the order of all methods"
        (copy, zoo), ((gp,)) = (r["curves"] for r in experiment["results"])
        assert [c["method"] for c in (copy, zoo, gp)] == ["copy", "zoo", "gp"]
        intervals = [bootstrap_interval(CUBE[at : at + 1, :, t]) for t in range(3)]
        means = CUBE[at].mean(axis=0)
        np.testing.assert_allclose(copy["regret"], means, rtol=1e-3)
        np.testing.assert_allclose(np.transpose([copy["low"], copy["high"]]), intervals, rtol=1e-3)
        cells = [
            f"{digits(m)} [{digits(low)}, {digits(high)}]" for m, (low, high) in zip(means, intervals, strict=True)
        ]
        table = experiment["results"][0]["tables"][0]
        assert table["headers"] == ["method", "b=1", "b=2", "b=3"]
        assert table["rows"][0] == ["copy", *cells]


def test_the_markdown_page_links_to_every_experiment(frame_of: Frame, place: Path) -> None:
    frame = frame_of({"copy": CUBE})
    frame["experiment"] = "a [b](c) & ü/" + frame["experiment"]
    write_report(place, frame)
    text = (place / "report.md").read_text(encoding="utf-8")
    found = re.findall(r"\[(a \\\[b\\\][^]]*)\]\(report\.html#experiment=([^)]*)\)", text)
    assert [unquote(address) for _, address in found] == list(frame["experiment"].unique())
    assert all(not set(address) & set(" []()/&") for _, address in found)


def test_of_a_method_that_is_not_applicable_it_says_why(frame_of: Frame, place: Path) -> None:
    refused = {"outcome": "not applicable", "config": "it has no width", "simple_regret": np.nan}
    frame = pd.concat([frame_of({"copy": CUBE}), frame_of({"tpe": CUBE}).assign(**refused, cumulative_regret=np.nan)])
    (run,) = page_of(write_report(place, frame)).data["runs"]
    experiment = run["experiments"][0]
    assert ["tpe", "it has no width", "not applicable", "-", "-", "-"] in experiment["results"][0]["tables"][1]["rows"]
    assert "Not applicable: tpe (it has no width)." in experiment["results"][0]["size"]
    assert [curve["method"] for curve in experiment["results"][0]["curves"]] == ["copy"]
    assert {path["method"] for path in experiment["paths"]} == {"copy"}
