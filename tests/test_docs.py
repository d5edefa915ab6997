"""Every fenced block of README.md and docs/ does what it says, page by page, in a directory of its own.

| block | what is done with it |
|---|---|
| `sh` | its commands run in order: our own programs in this process, others as processes |
| `console` | `$ command` runs, and what it prints is compared; `...` stands for anything |
| `python` | runs, in one namespace per page; with a title it is a file instead |
| `csv`, `yaml`, `json` | with a title a file for the commands that follow; without one it must parse |
| `text` | is shown to the reader |

A page finds there what a clone has (examples/, recipes/, benchmarks/), and the example's runs.csv and space.yaml. What
cannot run here stands in `UNRUN` with the reason: it is parsed instead. What runs with less stands in `SMALLER`.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from autollmresearch.cli import main as researcher
from llmconfig_gym.catalog import CACHE_VARIABLE, load_suite
from llmconfig_gym.cli import main as gym
from llmconfig_gym.sources.download import MIRROR_VARIABLE
from llmconfig_gym.suite import Suite

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = {"llmconfig-gym": gym, "autollmresearch": researcher}
LANGUAGES = ("sh", "console", "python", "py", "csv", "yaml", "json", "text")  # py: run by .ci/adapters
FENCE = re.compile(r"^( *)(`{3,})(\w*)([^\n]*)\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)
NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"

UNRUN = {
    r"(python -m llm_dialogue|vf-)": "of an adapter; .ci/adapters has the environment for it",
    r"make ": "installs; what it does is what continuous integration does",
    r"(python3? -m venv|pip install) ": "changes the environment; the Makefile does the same",
    r"(OLLAMA_CONTEXT_LENGTH=16384 )?(vllm|ollama|transformers) ": "loads the weights of a large model",
    r".*endpoint:": "asks a server; tests/autollmresearch/policies/test_docs_agents.py runs them with one",
    r"autollmresearch (tell qwen|suggest --study qwen)": "follows one of those; the same test runs it",
    r".*agent:Qwen/": "loads the weights of a large model",
    r"accelerate launch ": "needs several GPUs",
    r"autollmresearch train .* recipes/qwen3-4b.yaml": "needs a GPU",
    r"autollmresearch train (metabo|nap) ": "minutes; test_metabo.py and test_nap.py train small ones",
    r"autollmresearch ablate ": "trains again; tests/autollmresearch/training/test_ablate.py does",
    r"python -m autollmresearch.training.ship ": "needs a night's run; test_ship.py makes a small one",
    r"autollmresearch run examples/tiny_lm/": "minutes; tests/examples/test_tiny_lm.py runs it with fewer trials",
    r"llmconfig-gym collect --out my-": "hours; tests/llmconfig_gym/collect/ runs small ones",
    r"autollmresearch view ": "serves until it is stopped; tests/autollmresearch/report/test_server.py does it",
    r".*--backend ray": "needs a cluster; tests/autollmresearch/test_cluster.py starts one",
    r"(ray start|sbatch) ": "of a cluster; test_cluster.py and test_slurm_scripts.py have small ones",
    r"python benchmarks/scaling.py ": "an hour; it resumes, and --quick takes less",
    r"python benchmarks/soak.py ": "an hour; tests/benchmarks/test_soak.py has a study of it",
    r"autollmresearch leaderboard ": "needs the kept rows' budget; test_leaderboard.py makes one",
    r"python benchmarks/kept.py pictures": "of all kept rows, which the commands before it replace by few",
    r"llmconfig-gym verify ": "trains; tests/llmconfig_gym/collect/test_verify.py does it",
}
"""What the start of a command matches: why it is not run here, but parsed."""

UNRUN_COMMANDS = 76
"""How many commands that is, of all pages. A new one is a decision, so the number stands here."""

SMALLER = {
    r"autollmresearch benchmark ": "--seeds 1 --budget 2 --workers 1 --no-progress",
    r".*--methods all ": "--methods random,copy --protocol metered:10",
    r".*--methods random,tpe,tpe:startup=3,gp": "--methods random,copy --suite few",
    r".*--methods random,tpe:startup=3,gp:startup=3,copy": "--methods random,copy --suite few",
    r".*--methods random,copy,pooled-quadratic,rank-average": "--methods random,sha --suite few",
    r".*--suite steplaw,regmix ": "--suite steplaw",
    r".*--methods smac ": "--suite few",
    r".*--methods mf-gp,mf-kg ": "--methods random,sha --suite few",
    r".*--methods direct:researcher-mini,": "--methods direct:researcher-mini,centaur:researcher-mini",
    r".*sha,bohb,mf-kg ": "--methods random,sha",
    r"llmconfig-gym download ": "steplaw",
    r"autollmresearch train .* recipes/": "--recipe tiny.yaml --no-progress",
}
"""What the start of a command matches: the options that stand in place of its own. Suite `micro` becomes `few`, the
first experiment of each task and level; a benchmark that names no methods gets three."""

GIVEN = {
    "docs/report.md": (
        "autollmresearch benchmark --methods random,copy --out runs/micro",
        "autollmresearch benchmark --methods random,copy --out runs/before",
        "autollmresearch benchmark --methods copy,pooled-gp --out runs/after",
        "autollmresearch suggest --from runs.csv --target N=7B,tokens=140B --policy copy --study big",
    ),
}
"""Pages that speak of what their reader has: the commands that make it."""

ELSEWHERE = {"docs/exchange.md": "tests/test_docs_exchange.py"}
"""Pages that need more than commands make, and the test that runs them in order; here they are parsed."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that its title names, and what it holds."""

    language: str
    title: str
    text: str

    def commands(self) -> list[tuple[str, str]]:
        """Commands with what they print; of `sh` nothing is said."""
        text = self.text.replace("\\\n", " ")
        if self.language == "console":
            parts = re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", text, re.MULTILINE)
        else:
            parts = [(line, "...") for line in text.splitlines()]
        stripped = [(shlex.join(_words(line)) if "#" in line else line.strip(), said) for line, said in parts]
        return [(re.sub(r"\s+", " ", line.replace(".venv/bin/", "")), said) for line, said in stripped if line]

    def parse(self) -> None:
        """Read the block without running it."""
        assert self.language in LANGUAGES, f"a block of {self.language!r}: say one of {', '.join(LANGUAGES)}"
        for command, _ in self.commands() if self.language in ("sh", "console") else ():
            understand(command)
        if self.language in ("python", "py"):
            compile(self.text, "a block of python", "exec")
        elif self.language == "yaml":
            yaml.safe_load(self.text)
        elif self.language == "json":
            json.loads(self.text)


def _words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for indent, _, language, rest, text in FENCE.findall(page.read_text(encoding="utf-8")):
        title = re.search(r'title="([^"]+)"', rest)
        body = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        found.append(Block(language, title[1] if title else "", body))
    return found


def reason(command: str) -> str | None:
    """Why a command is not run, or None."""
    return next((why for start, why in UNRUN.items() if re.match(start, command)), None)


def printed(said: str, out: str) -> bool:
    """Whether a command printed what a page says it does.

    Words are the same, white space is not looked at, and a number may be a tenth off: another processor adds in another
    order.
    """
    said = re.sub(r"\s*^\.\.\.\n", "...", said, flags=re.MULTILINE)  # it may stand for no line at all
    parts = re.split(rf"(\.\.\.|\s+|{NUMBER})", said.strip())
    kinds = [
        ".*?" if p == "..." else r"\s+" if p.isspace() else f"({NUMBER})" if re.fullmatch(NUMBER, p) else ""
        for p in parts
    ]
    pattern = "".join(kind or re.escape(part) for kind, part in zip(kinds, parts, strict=True))
    found = re.fullmatch(pattern, out.strip(), re.DOTALL)
    numbers = re.findall(NUMBER, said)
    return found is not None and all(
        math.isclose(float(a), float(b), rel_tol=0.1) for a, b in zip(found.groups(), numbers, strict=True)
    )


def understand(command: str) -> None:
    """Parse a command that is not run as far as a parser of it is here."""
    words = _words(command)
    if words[0] == "accelerate":
        from accelerate.commands.launch import launch_command_parser

        told = launch_command_parser().parse_args(words[2:])
        assert Path(ROOT / told.config_file).is_file()
        words = [told.training_script, *told.training_script_args]
    if words[0] in OURS:
        assert callable(OURS[words[0]].build_parser().parse_args(words[1:]).run)
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    if words[0] == "pip" and (extra := re.search(r"(?:autollmresearch|\.)\[(\w+)\]", command)):
        assert extra[1] in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@dataclass
class Place:
    """A directory in which a page's blocks run one after the other."""

    directory: Path
    trained: Path
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def take(self, block: Block) -> None:
        """Write, run or parse one block."""
        if block.language in ("sh", "console"):
            for command, said in block.commands():
                self.run(command, said)
        elif block.title:
            self.directory.joinpath(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, "a block of python", "exec"), self.namespace)
        else:
            block.parse()

    def run(self, command: str, said: str = "...") -> None:
        """Run one command, or parse it, and compare what it prints."""
        if reason(command) is not None:
            understand(command)
            return
        words = _words(command)
        if words[0] == "export":
            os.environ.update([words[1].split("=", 1)])
            return
        for start, options in SMALLER.items():
            words = _with(words, options.split()) if re.match(start, command) else words
        if words[:2] == ["autollmresearch", "benchmark"]:
            words = _few(words)
        if words[:2] == ["autollmresearch", "train"] and self.trained.is_dir():
            shutil.copytree(self.trained, words[words.index("--out") + 1], dirs_exist_ok=True)
        code, out = _ours(words) if words[0] in OURS else _other(command)
        assert code == 0, f"{command}\n{out}"
        assert printed(said, out), f"{command} printed\n{out}"
        if words[:3] == ["autollmresearch", "train", "all"] and not self.trained.is_dir():
            shutil.copytree(words[words.index("--out") + 1], self.trained)


def _with(words: list[str], options: list[str]) -> list[str]:
    """A command with these options in place of its own; with no option among them, with these arguments."""
    if not options[0].startswith("--"):
        return [*words[:2], *options]
    words = list(words)
    for option in options:
        if option.startswith("--") and option in words:
            at = words.index(option)
            del words[at : at + 2]
    return [*words, *options]


def _few(words: list[str]) -> list[str]:
    """A benchmark of the embedded suite on a few of its experiments; with a few methods, if it names none."""
    if words[words.index("--suite") + 1 :][:1] == ["micro"] if "--suite" in words else True:
        words = _with(words, ["--suite", "few"])
    return words if "--methods" in words else [*words, "--methods", "random,copy,analyst"]


def _ours(words: list[str]) -> tuple[int, str]:
    """Exit code and output, both streams as a terminal shows them, of a program of ours, in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            code = OURS[words[0]].main(words[1:])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, out.getvalue()


def _other(command: str) -> tuple[int, str]:
    """The same of any other program, as a shell finds it."""
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tutorial's tiny run is kept for the next page that trains; the first one makes it."""
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of the embedded one's first experiments of each task and level."""
    whole = load_suite("micro")
    first = {}
    for id_ in whole.ids:
        e = whole.summary(id_)
        first.setdefault((e.task, e.level), id_)
    kept = [replace(e, id=e.id.replace("micro/", "few/"), suite="few") for e in map(whole.experiment, first.values())]
    path = tmp_path_factory.mktemp("few") / "few"
    Suite.of("few", whole.card, kept).save(path)
    return path


@pytest.fixture
def place(
    tmp_path: Path,
    trained: Path,
    few: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """A fresh directory with what a clone has, as the working directory."""
    for name in ("examples", "recipes", "benchmarks", "integrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    shutil.copytree(ROOT / "examples" / "cheap_runs", tmp_path, dirs_exist_ok=True)
    shutil.copytree(few, tmp_path / "few")
    page = ROOT / "docs" / "tutorials" / "train-an-agent.md"
    (recipe,) = [b.text for b in blocks(page) if b.title == "tiny.yaml"]
    (tmp_path / "tiny.yaml").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    before = dict(os.environ)
    yield Place(tmp_path, trained)
    for name in set(os.environ) - set(before):  # what the page exported
        del os.environ[name]
    os.environ.update(before)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_page_from_its_first_block_to_its_last(page: Path, place: Place, request: pytest.FixtureRequest) -> None:
    if "llmconfig-gym download" in page.read_text(encoding="utf-8"):
        os.environ[MIRROR_VARIABLE] = str(request.getfixturevalue("mirror"))
    name = page.relative_to(ROOT).as_posix()
    for command in GIVEN.get(name, ()):
        place.run(command)
    for block in blocks(page):
        if name in ELSEWHERE:
            assert (ROOT / ELSEWHERE[name]).is_file()
            block.parse()
        else:
            place.take(block)


def test_what_is_printed_is_compared() -> None:
    out = "note: 3 runs\n\nbest:   2.31 +- 0.1\nby: copy\n"
    for said in (
        out,
        "...\nbest: 2.31 +- 0.1\n...\n",
        "note: 3 runs\n...\nby: copy\n",
        "...2.35 +- 0.1 by: ...\n",
        "...\n",
    ):
        assert printed(said, out), said
    for said in ("", "best: 2.31\n", "...\nbest: 2.71 +- 0.1\n...\n", "note: 4 runs\n...\n", "...\nby: random\n"):
        assert not printed(said, out), said


def test_what_is_not_run_is_counted_and_no_entry_is_left_over() -> None:
    commands = [
        command
        for page in PAGES
        for b in blocks(page)
        for command, _ in b.commands()
        if b.language in ("sh", "console")
    ]
    unrun = [command for command in commands if reason(command)]
    assert len(unrun) == UNRUN_COMMANDS, unrun
    for start in (*UNRUN, *SMALLER):
        assert any(re.match(start, command) for command in commands), f"no command starts so any more: {start}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"(?:\]\(|src=\")([^)#:\s\"]+)[)#\"]", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tutorials_files_are_those_of_the_example() -> None:
    files = {b.title: b.text for b in blocks(ROOT / "docs" / "tutorials" / "next-run.md") if b.title}
    example = ROOT / "examples" / "cheap_runs"
    assert files["runs.csv"] == (example / "runs.csv").read_text()
    own, shipped = (yaml.safe_load(text) for text in (files["space.yaml"], (example / "space.yaml").read_text()))
    plain = [{k: v for k, v in p.items() if k in own["parameters"][i]} for i, p in enumerate(shipped["parameters"])]
    assert own["parameters"] == plain
