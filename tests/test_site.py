"""The documentation is a site: it builds without a warning, is whole, asks nobody, and is searched from a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    directory = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(directory)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return directory


class Links(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in LOADS and (url := found.get(LOADS[tag])) and found.get("rel") not in ("next", "prev", "canonical"):
            self.loaded.append(url)
        if tag == "a" and (url := found.get("href")):
            self.links.append(url)


def _pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page.read_text(encoding="utf-8")) for page in site.rglob("*.html") if page.name != "404.html"}


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = _pages(site)
    assert len(pages) > 30
    for page, found in pages.items():
        for url in found.loaded:
            assert not re.match(r"(\w+:)?//", url), f"{page.name} loads {url}"
            assert (page.parent / unquote(url).partition("?")[0]).exists(), f"{page.name} loads {url}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(\w+:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_links_of_every_page_lead_to_a_file_of_the_site(site: Path) -> None:
    for page, found in _pages(site).items():
        for url in found.links:
            if not re.match(r"\w+:", url) and (path := unquote(url).partition("#")[0]):
                assert (page.parent / path).exists(), f"{page.relative_to(site)} links to {url}"


def test_the_reference_has_both_packages_and_every_command(site: Path) -> None:
    import llmconfig_gym

    names = ("llmconfig_gym", "autollmresearch", "commands")
    text = {name: (site / "reference" / f"{name}.html").read_text(encoding="utf-8") for name in names}
    for name in llmconfig_gym.__all__:
        assert re.search(rf'id="llmconfig_gym\.[\w.]*\b{name}"', text["llmconfig_gym"]), name
    for name in ("policy.Policy", "live.sampler.AutoLLMSampler", "episode.run_episodes", "errors.ResearchError"):
        assert f'id="autollmresearch.{name}"' in text["autollmresearch"]
    for command in ("autollmresearch suggest", "autollmresearch train", "llmconfig-gym import"):
        assert f">{command}<" in text["commands"]


def test_the_pictures_are_those_that_the_code_makes(tmp_path: Path, script: Callable[[str], ModuleType]) -> None:
    assert script("docs/pictures.py").main([str(tmp_path)]) == 0
    shown = set(re.findall(r"images/(method-[\w-]+\.png)", (ROOT / "docs" / "method.md").read_text()))
    assert (
        {p.name for p in tmp_path.iterdir()} == shown == {p.name for p in (ROOT / "docs" / "images").glob("method-*")}
    )


def test_a_browser_opens_and_searches_it_as_a_file_and_asks_nobody(
    site: Path, tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        missing("chromium is not installed (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))
    try:
        driver.get((site / "index.html").as_uri())
        box = WebDriverWait(driver, 60).until(lambda d: d.find_element(By.CSS_SELECTOR, "input.md-search__input"))
        box.send_keys("snapped")
        found = WebDriverWait(driver, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, ".md-search-result__link"))
        assert "gym.html" in {str(f.get_attribute("href")).rpartition("/")[2].partition("?")[0] for f in found}
        assert driver.get_log("browser") == []
        events: list[Any] = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        asked = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        asked = [a["request"]["url"] for a in asked if a["documentURL"].startswith("file:")]  # not by the first tab
        assert len(asked) > 3
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        driver.set_window_size(360, 800)
        for name in ("index", "benchmark", "method", "reference/commands"):
            driver.get((site / f"{name}.html").as_uri())
            wide = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name} scrolls sideways"
    finally:
        driver.quit()
