"""The page in a real browser, from a file: what it draws, that it is safe, and that everybody can use it."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.cli.report_command import page_data
from autollmresearch.live.study import LiveStudy
from autollmresearch.methods import ALL
from autollmresearch.report.benchmark import looks
from autollmresearch.report.page import write_page
from autollmresearch.report.study import study_run
from llmconfig_gym.suite import Suite

PATIENCE = 60.0
"""Seconds for a page to fill; it never takes that long unless something is wrong."""

DRAWN = """
    if (location.href !== arguments[0] || typeof seen === "undefined") return false;
    const plots = [...document.querySelectorAll("[data-plot]")];
    plots.forEach((p) => { seen.add(p.id); draw(p); });
    return plots.every((p) => p.classList.contains("js-plotly-plot"));
"""
"""Draws all plots, as if its reader had scrolled past them."""


def look(browser: webdriver.Chrome, path: Path, width: int = 1280, dark: bool = False, anchor: str = "") -> None:
    """Open a page in a window of this width, with all its plots drawn."""
    address = path.as_uri() + anchor
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    resize(browser, width)
    browser.get("about:blank")
    errors(browser)  # what the page before still said, which may be another test's
    browser.get(address)
    WebDriverWait(browser, PATIENCE).until(lambda b: b.execute_script(DRAWN, address))
    keep(browser, f"{path.stem}-{width}-{'dark' if dark else 'light'}", width)


def resize(browser: webdriver.Chrome, width: int, height: int = 900) -> None:
    """Give the window this size, which may be less than a real window can have."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def keep(browser: webdriver.Chrome, name: str, width: int) -> None:
    """Keep a picture of the whole page for whoever wants to look at it."""
    if kept := os.environ.get("AUTOLLMRESEARCH_SCREENSHOTS"):
        resize(browser, width, min(browser.execute_script("return document.documentElement.scrollHeight"), 8000))
        browser.save_screenshot(str(Path(kept) / f"{name}.png"))
        resize(browser, width)


def fits(browser: webdriver.Chrome) -> bool:
    """Whether nothing but what scrolls by itself is wider than the window."""
    return bool(browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"))


def errors(browser: webdriver.Chrome) -> list[str]:
    """What the browser complained of since it was asked last."""
    return [entry["message"] for entry in browser.get_log("browser")]


def violations(browser: webdriver.Chrome) -> list[str]:
    """What axe-core finds wrong with the page, of any weight."""
    browser.execute_script((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[0])")["violations"]
    return [f"{v['id']} ({v['impact']}): {[n['html'][:200] for n in v['nodes'][:3]]}" for v in found]


@pytest.fixture
def study_page(study: LiveStudy, tmp_path: Path) -> Path:
    """The page of a study whose reasons are hostile."""
    return write_page(tmp_path / "study.html", {"runs": [study_run(study)], "comparison": None})


@pytest.fixture(scope="module")
def benchmark_data(toy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Two benchmarks, which differ in their number of trials, and their comparison."""
    places = [tmp_path_factory.mktemp("runs") / name for name in ("first", "second")]
    for budget, out in enumerate(places, start=3):
        settings = BenchmarkSettings((str(toy_path),), ("metered:4",), ("random", "copy"), budget=budget, seeds=2)
        run_benchmark(settings, out, progress=False)
    return page_data([str(place) for place in places], None)


def test_what_a_model_wrote_is_text_and_the_page_asks_nobody_for_anything(
    browser: webdriver.Chrome, study_page: Path, hostile: tuple[str, ...]
) -> None:
    look(browser, study_page)
    assert browser.title == "big - AutoLLMResearch"
    thoughts = [e.get_property("textContent") for e in browser.find_elements(By.CSS_SELECTOR, "details[open] .said")]
    assert [t for t in thoughts if t != "It falls."] == list(hostile)
    assert browser.find_elements(By.CSS_SELECTOR, "img, iframe, main script") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert errors(browser) == []
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1'; "
        "document.body.append(s); fetch('http://127.0.0.1:9/').catch(() => {})"
    )
    assert browser.title == "big - AutoLLMResearch"
    refused = "\n".join(errors(browser))
    assert "Executing inline script violates" in refused
    assert "Refused to connect" in refused


def test_a_study_can_be_read_by_everybody(browser: webdriver.Chrome, study_page: Path) -> None:
    look(browser, study_page, dark=True)

    def ground() -> str:
        return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))

    assert ground() == "rgb(13, 17, 23)"
    assert violations(browser) == []
    browser.find_element(By.ID, "theme").click()
    assert ground() == "rgb(255, 255, 255)"
    resize(browser, 320)
    assert fits(browser)
    assert violations(browser) == []
    keep(browser, "study-320", 320)


def test_a_column_of_words_begins_at_the_left_with_its_heading(browser: webdriver.Chrome, study_page: Path) -> None:
    look(browser, study_page)
    sides = browser.execute_script(
        "const side = (e) => e.textContent + ' ' + getComputedStyle(e).textAlign;"
        "const trials = [...document.querySelectorAll('table')].find((t) => t.caption.textContent === 'Trials');"
        "return [...trials.rows].slice(0, 2).map((r) => [...r.cells].map(side))"
    )
    assert [s.split()[-1] for s in sides[0]] == ["left", "left", "right", "right", "left"], sides
    assert [s.split()[-1] for s in sides[1]] == [s.split()[-1] for s in sides[0]]
    assert "of seed" not in browser.find_element(By.TAG_NAME, "main").text, "a study has no seeds"


def test_a_comparison_can_be_read_by_everybody(
    browser: webdriver.Chrome, benchmark_data: Mapping[str, Any], tmp_path: Path
) -> None:
    look(browser, write_page(tmp_path / "comparison.html", benchmark_data), 1600)
    assert violations(browser) == []
    assert errors(browser) == []
    traces = browser.execute_script("return document.getElementById('both-0').data.length")
    assert traces == 2 * 2 * 3, "of two methods in two runs: a line, and two edges of its interval"
    resize(browser, 320)
    assert fits(browser)
    keep(browser, "comparison-320", 320)


def test_every_control_is_reached_and_worked_by_keyboard(
    browser: webdriver.Chrome, benchmark_data: Mapping[str, Any], tmp_path: Path
) -> None:
    data = {"runs": benchmark_data["runs"][:1], "comparison": None}
    look(browser, write_page(tmp_path / "benchmark.html", data))
    controls = "a, button, input, select, summary, [tabindex='0']"
    count = len(browser.find_elements(By.CSS_SELECTOR, controls))
    browser.execute_script(
        "window.reached = new Set(); window.faint = []; document.addEventListener('focusin', "
        "({ target }) => { reached.add(target); if (getComputedStyle(target).outlineStyle == 'none') "
        "faint.push(target.outerHTML); })"
    )
    webdriver.ActionChains(browser).send_keys(Keys.TAB * count).perform()
    assert browser.execute_script("return faint") == []
    missed = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter((e) => !reached.has(e) && e.checkVisibility())"
        ".map((e) => e.outerHTML.slice(0, 200))",
        controls,
    )
    assert missed == []

    def drawn() -> int:
        return int(browser.execute_script("return document.getElementById('run-0-regret-0').data.length"))

    assert drawn() == 6
    browser.find_element(By.CSS_SELECTOR, "input[data-method=copy]").send_keys(Keys.SPACE)
    assert drawn() == 3
    assert browser.execute_script("return document.activeElement.dataset.method") == "copy", "focus stays"
    browser.find_element(By.CSS_SELECTOR, "[data-all=no]").send_keys(Keys.ENTER)
    assert drawn() == 0


def test_an_experiment_has_an_address_which_opens_it(
    browser: webdriver.Chrome, benchmark_data: Mapping[str, Any], tmp_path: Path
) -> None:
    run = benchmark_data["runs"][0]
    first, *_, last = run["experiments"]
    look(browser, write_page(tmp_path / "benchmark.html", {"runs": [run], "comparison": None}))

    def shown() -> tuple[str, list[float]]:
        chosen = Select(browser.find_element(By.CSS_SELECTOR, "[data-key=run-0-experiment]")).first_selected_option
        return chosen.text, browser.execute_script("return document.getElementById('run-0-one-regret').data[2].y")

    def expected(experiment: Mapping[str, Any]) -> tuple[str, list[float]]:
        return experiment["name"], [max(v, 1e-4) for v in experiment["results"][0]["curves"][0]["regret"]]

    def address() -> str:
        return str(browser.execute_script("return decodeURIComponent(location.hash)"))

    assert shown() == expected(first)
    Select(browser.find_element(By.CSS_SELECTOR, "[data-key=run-0-experiment]")).select_by_visible_text(last["name"])
    assert shown() == expected(last)
    assert address() == f"#experiment={last['name']}"
    browser.execute_script(
        "scrollTo(0, 0); location.hash = `experiment=${encodeURIComponent(arguments[0])}`", first["name"]
    )
    WebDriverWait(browser, PATIENCE).until(lambda _: shown() == expected(first))
    assert browser.execute_script("return scrollY") > 0
    for wrong in ("%E0%A4%A", "no/such"):
        browser.execute_script("location.hash = `experiment=${arguments[0]}`", wrong)
    assert shown() == expected(first)
    assert errors(browser) == []


def test_every_method_has_its_own_entry_in_the_legend(browser: webdriver.Chrome, tmp_path: Path) -> None:
    empty: dict[str, Any] = {key: [] for key in ("facts", "groups", "standings", "experiments", "notes")}
    costs = {"title": "", "headers": [""], "rows": []}
    run = {**empty, "kind": "benchmark", "name": "x", "methods": looks(list(ALL)), "costs": costs, "settings": ""}
    look(browser, write_page(tmp_path / "legend.html", {"runs": [run], "comparison": None}))
    entries = browser.execute_script(
        "return [...document.querySelectorAll('.method svg')].map((svg) => [...svg.children].map((p) => "
        "[p.getAttribute('d'), p.getAttribute('stroke'), p.getAttribute('stroke-dasharray'), p.getAttribute('fill')]))"
    )
    drawn = {(dash, shape, stroke, fill) for (_, stroke, dash, _), (shape, _, _, fill) in entries}
    assert len(drawn) == len(ALL)
    assert len({(dash, shape) for dash, shape, *_ in drawn}) == len({(x["dash"], x["symbol"]) for x in run["methods"]})


STRUCTURE = ("kind", "light", "dark", "dash", "symbol", "direction", "code", "codes")
"""What in a page's data are no words that anybody wrote."""

TAGS = """<a href="javascript:document.title='pwned'">go</a> &lt;i&gt; %{x} <br> <sup>2</sup> <b>bold</b>"""
"""Some of what plotly would read as its own."""


def poisoned(data: Any, words: str, key: str = "") -> Any:
    """The same data with these words after everything that is said in it."""
    if isinstance(data, Mapping):
        return {k: poisoned(v, words, k) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [poisoned(v, words, key) for v in data]
    return data + words if isinstance(data, str) and data and key not in STRUCTURE else data


def test_hostile_words_anywhere_in_a_benchmark_or_comparison_stay_text(
    browser: webdriver.Chrome, benchmark_data: Mapping[str, Any], hostile: tuple[str, ...], tmp_path: Path
) -> None:
    words = " ".join((*hostile, TAGS))
    runs = [run | {"standings": [s | {"critical": 1.0} for s in run["standings"]]} for run in benchmark_data["runs"]]
    data = {"runs": runs, "comparison": benchmark_data["comparison"]}
    tags = "return [...document.querySelectorAll('*')].filter((e) => !e.closest('.plot')).map((e) => e.tagName)"
    look(browser, write_page(tmp_path / "harmless.html", data), 1600)
    expected = browser.execute_script(tags)
    bad = poisoned(data, words)
    look(browser, write_page(tmp_path / "hostile.html", bad), 1600)
    hovers = browser.execute_script(
        "const plots = [...document.querySelectorAll('[data-plot]')];"
        "for (const p of plots) Plotly.Fx.hover(p, [{ curveNumber: p.data.length - 1, pointNumber: 0 }]);"
        "const said = (p) => [...p.querySelectorAll('.hoverlayer text')].map((t) => t.textContent).join('');"
        "return plots.map((p) => [p.id, said(p)])"
    )
    shown = " ".join(words.split())
    assert [name for name, text in hovers if shown not in " ".join(text.split())] == []
    ticks = browser.execute_script(
        "return [...document.querySelectorAll('#run-0-ranks-0 .ytick text')].map((t) => t.textContent)"
    )
    assert {t[-20:] for t in ticks} == {words[-20:]}
    assert browser.execute_script(tags) == expected
    made = ".plot a, .plot script, .plot img, .plot foreignObject, .plot [style*=bold], .plot [style*=italic]"
    assert browser.find_elements(By.CSS_SELECTOR, made) == []
    names = [run["name"] for run in bad["runs"]]
    title = browser.execute_script("return document.querySelector('title').textContent")
    assert title == f"{', '.join(names)} - AutoLLMResearch"
    assert browser.find_element(By.ID, "title").get_property("textContent") == " and ".join(names)
    assert errors(browser) == []


def test_the_map_shows_the_best_over_the_rest_and_the_path_of_the_method(
    browser: webdriver.Chrome, benchmark_data: Mapping[str, Any], toy: Suite, tmp_path: Path
) -> None:
    data = {"runs": benchmark_data["runs"][:1], "comparison": None}
    look(browser, write_page(tmp_path / "benchmark.html", data), anchor="#experiment=toy%2Fshape-high")
    for key, name in (("across", "bias"), ("up", "attention"), ("method", "random")):
        Select(browser.find_element(By.CSS_SELECTOR, f"[data-key=run-0-{key}]")).select_by_visible_text(name)
    map_, *_, star, discs = browser.execute_script("return document.getElementById('run-0-map').data")
    e = toy.experiment("toy/shape-high")
    for y, attention in enumerate(("full", "local", "mixed")):
        for x, bias in enumerate((True, False)):
            rows = (e.pool.columns["attention"] == attention) & (e.pool.columns["bias"] == bias)
            best = e.values[rows].min() if rows.any() else None
            assert map_["z"][y][x] == (None if best is None else pytest.approx(best, rel=1e-4))
    best = e.pool.config(int(np.argmin(e.losses)))
    assert star["x"] == [[True, False].index(best["bias"])]
    assert star["y"] == [["full", "local", "mixed"].index(best["attention"])]
    shown = " ".join(discs["text"])
    assert set(shown.replace("…", " ").split()) <= {"1", "2", "3"}
    rows = browser.find_elements(By.CSS_SELECTOR, "[aria-label^='Path of random'] tbody tr")
    assert len(rows) == 3
