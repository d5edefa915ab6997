"""What goes wrong, and what is said: every row is done for real, and docs/errors.md must show just what came of it.

Each class of both errors.py modules is the outcome of a row, so none can come without a message that somebody has read:
write the row, run `python tests/test_wrong_uses.py`, which renders the page anew, and read the difference.
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

import autollmresearch.cli.main
import autollmresearch.errors
import llmconfig_gym.cli.common
import llmconfig_gym.cli.main
import llmconfig_gym.errors
from llmconfig_gym.sources import steplaw

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
MAINS = {"llmconfig-gym": llmconfig_gym.cli.main.main, "autollmresearch": autollmresearch.cli.main.main}
BASES = {llmconfig_gym.errors.GymError, autollmresearch.errors.ResearchError}

FILES = {
    "runs.csv": "N,tokens,lr,val_loss\n1e6,5e8,1e-4,3.2\n1e6,5e8,1e-3,3.1\n2e6,5e8,1e-4,3.0\n2e6,5e8,1e-3,2.9\n",
    "empty.csv": "",
    "space.yaml": "parameters:\n  - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}\n",
    "typo.yaml": "parameter:\n  - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}\n",
    "upside-down.yaml": "parameters:\n  - {kind: real, name: lr, low: 1e-2, high: 1e-5, log: true}\n",
    "sweep.yaml": "parameters: [{kind: grid, name: lr, levels: [0.1, 0.2]}]\nfidelities: [{level: high, steps: 9}]\n",
    "recipe.yaml": "curate: {suites: [micro]}\n",
    "typo-recipe.yaml": "curat: {suites: [micro]}\n",
    "high-recipe.yaml": "curate: {suites: [micro], targets: [micro/N98k-D1M]}\n",
    "damaged/suite.json": "{",
    "results/notes.txt": "no results here",
    "no-model/config.txt": "",
    "study.db": "this is no database " * 40,
    "evil.pkl": "cos\nsystem\n(S'echo owned'\ntR.",
    "talk.jsonl": '{"turns": 3}\n',
    "silent.py": "class Silent:\n    def propose(self, states):\n        return []\n",
    f"mirror/{steplaw.ORIGIN.folder}/{steplaw.TABLE}": "not the table",
}
"""What lies in the directory in which everything is done."""

SAMPLER = """import optuna
from autollmresearch.live import AutoLLMSampler
lr = {"lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)}
cheap, empty = (optuna.create_study(study_name=name) for name in ("cheap", "empty"))
for study in (cheap, empty):
    study.set_user_attr("fidelity", {"N": 1e6})
cheap.add_trial(optuna.create_trial(params={"lr": 1e-3}, distributions=lr, value=3.0))
"""
JOBS = """import os
from operator import call
from autollmresearch.benchmark.runner import BenchmarkSettings, Cell, _play
from llmconfig_gym.parallel import run_jobs
from unittest import mock
def on_node_7(cell):
    with mock.patch("platform.node", return_value="n7"):
        return _play((BenchmarkSettings(), {}, {"copy": {"sha256": "of another"}}), cell)
"""
CHECKED = """from autollmresearch.testing import PolicyTestCase
class Silent:
    def propose(self, states):
        return []
class TestSilent(PolicyTestCase):
    def make(self):
        return Silent()
"""
GYM = "from pathlib import Path; from llmconfig_gym.sources import steplaw, unpickle"


@dataclass(frozen=True)
class Use:
    """A wrong use: a command line (with variables in front, as a shell has them) or Python.

    Attributes:
        did: what is done.
        before: Python that is run first; the page leaves it out.
        absent: a package that is not installed.
    """

    did: str
    before: str = ""
    absent: str = ""


USES = (
    # names and options
    Use("llmconfig-gym lst"),
    Use("autollmresearch benchmark"),
    Use("autollmresearch benchmark --budget two --out new"),
    Use("autollmresearch benchmark --form json --out new"),
    Use("autollmresearch train distil --recipe recipe.yaml --out new"),
    Use("llmconfig-gym show micro/N98k-D1"),
    Use("llmconfig-gym list micr"),
    Use("autollmresearch benchmark --methods randm --out new"),
    Use("autollmresearch benchmark --methods tpe:start=3 --out new"),
    Use("autollmresearch benchmark --protocol ful --out new"),
    Use("autollmresearch benchmark --seeds 0 --out new"),
    # configurations and spaces
    Use("""llmconfig-gym tell micro/N98k-D1M '{"lr": 0.008, "batch": 4}'"""),
    Use("llmconfig-gym tell micro/N98k-D1M lr=0.008"),
    Use("autollmresearch suggest --from runs.csv --target N=7e9,tokens=2e10 --space typo.yaml"),
    Use("autollmresearch suggest --from runs.csv --target N=7e9,tokens=2e10 --space upside-down.yaml"),
    Use('Grid("lr", ())', before="from llmconfig_gym.parameter import Grid"),
    Use(
        'read_yaml(Path("typo.yaml"), "a space", ("parameters",))',
        before="from pathlib import Path; from llmconfig_gym.description import read_yaml",
    ),
    # files of one's own
    Use("llmconfig-gym import runs.cvs"),
    Use("llmconfig-gym import empty.csv"),
    Use("llmconfig-gym import runs.csv --metric loss"),
    Use("llmconfig-gym list ./damaged"),
    Use("llmconfig-gym export micro --out micro.xlsx"),
    Use("llmconfig-gym twist micro --how reversed --out results"),
    Use("autollmresearch report results"),
    Use("autollmresearch show talk.jsonl"),
    # public tables
    Use("llmconfig-gym list steplaw"),
    Use("AUTOLLMRESEARCH_MIRROR=nowhere llmconfig-gym download steplaw"),
    Use("AUTOLLMRESEARCH_MIRROR=mirror llmconfig-gym download steplaw"),
    Use('steplaw.make({steplaw.TABLE: Path("runs.csv")})', before=GYM),
    Use('unpickle.load(Path("evil.pkl"))', before=GYM),
    # sweeps
    Use("llmconfig-gym collect --out new --command 'python train.py {lr}'"),
    Use("llmconfig-gym collect --out new --command 'python train.py {lrr}' --space sweep.yaml"),
    # live studies
    Use("autollmresearch suggest --from runs.csv --target N=big --space space.yaml"),
    Use("autollmresearch suggest --from empty.csv --target N=7B --space space.yaml"),
    Use("autollmresearch suggest --from runs.csv --target N=7B,tokens=20B --metric loss"),
    Use("autollmresearch tell big 0"),
    Use("autollmresearch status big"),
    Use("autollmresearch status big --storage sqlite:///study.db"),
    # the sampler
    Use(
        'optuna.create_study(study_name="big", directions=["minimize"] * 2, sampler=AutoLLMSampler()).ask(lr)',
        before=SAMPLER,
    ),
    Use('optuna.create_study(study_name="big", sampler=AutoLLMSampler([cheap])).ask(lr)', before=SAMPLER),
    Use('AutoLLMSampler(evidence=["cheap"], fidelity={"N": 1e9})', before=SAMPLER),
    Use('AutoLLMSampler(evidence=[empty], fidelity={"N": 1e9})', before=SAMPLER),
    # methods, agents and servers
    Use("autollmresearch play micro/N98k-D1M --policy oracle"),
    Use("autollmresearch play micro/N98k-D1M --policy agent:no-model"),
    Use("OPENAI_BASE_URL= OPENAI_API_KEY= autollmresearch play micro/N98k-D1M --policy endpoint:gpt-9"),
    Use("autollmresearch play micro/N98k-D1M --policy python:silent.py:Silent"),
    Use("llmconfig-gym completion bash", absent="shtab"),
    Use("list(run_jobs(call, os._exit, [1, 1], 2))", before=JOBS),
    Use("on_node_7(Cell('copy', 'micro', 'x', 'full'))", before=JOBS),
    Use("TestSilent().test_one_proposal_per_state()", before=CHECKED),
    Use('ConfigEnv("micro/N98k-D1M").step("lr = 0.008")', before="from llmconfig_gym.env import ConfigEnv"),
    # training
    Use("autollmresearch train curate --recipe typo-recipe.yaml --out new"),
    Use("autollmresearch train curate --recipe high-recipe.yaml --out new"),
    Use("autollmresearch train simulate --recipe recipe.yaml --out new"),
)


@dataclass(frozen=True)
class Seen:
    """What a user sees: the error's class (none where argparse refuses), its message, the exit code of a command."""

    kind: type[BaseException] | None
    message: str
    code: int | None


@contextlib.contextmanager
def prepared(place: Path) -> Iterator[None]:
    """Work in `place` with the files, no public tables and no variables of one's own."""
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content, encoding="utf-8")
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOLLMRESEARCH_", "OPENAI_"))}
    with contextlib.chdir(place), mock.patch.dict(os.environ, own | {"AUTOLLMRESEARCH_CACHE": "cache"}, clear=True):
        yield


def see(use: Use) -> Seen:
    """Do it."""
    missing = mock.patch.dict(sys.modules, {use.absent: None}) if use.absent else contextlib.nullcontext()
    with missing:
        words = shlex.split(use.did)
        variables = dict(w.split("=", 1) for w in words[: next((i for i, w in enumerate(words) if w in MAINS), 0)])
        program, *argv = words[len(variables) :]
        return _typed(program, argv, variables) if program in MAINS else _called(use)


def _typed(program: str, argv: list[str], variables: dict[str, str]) -> Seen:
    kinds: list[type[BaseException] | None] = []
    say = llmconfig_gym.cli.common.say_error

    def listen(prog: str, text: str) -> None:
        kinds.append(None if (problem := sys.exception()) is None else type(problem))
        say(prog, text)

    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, variables),
        mock.patch.object(llmconfig_gym.cli.common, "say_error", listen),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = MAINS[program](argv)
        except SystemExit as stop:
            code = int(stop.code or 0)
    assert out.getvalue() == "", "a wrong use has no result"
    assert err.getvalue().count("\n") == 1, "it is said in one line"
    kind = kinds[0] if kinds[0] is not None and issubclass(kinds[0], tuple(BASES)) else None
    return Seen(kind, err.getvalue().strip(), code)


def _called(use: Use) -> Seen:
    names: dict[str, object] = {}
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(io.StringIO()):
        exec(use.before, names)
        warnings.simplefilter("always")
        try:
            exec(use.did, names)
        except tuple(BASES) as problem:
            return Seen(type(problem), str(problem), None)
    (warning,) = caught
    return Seen(warning.category, str(warning.message), None)


def render(seen: list[Seen]) -> str:
    """The page."""
    rows = []
    for use, what in zip(USES, seen, strict=True):
        did = f"`{use.did}`" + (f" without {use.absent}" if use.absent else "")
        kind = "" if what.kind is None else f"`{what.kind.__name__}`"
        cells = (did, html.escape(what.message, quote=False), kind, "" if what.code is None else str(what.code))
        rows.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return HEAD + "\n".join(rows) + "\n"


HEAD = """# Wrong uses, and what is said

Every row was done as it stands, in a directory with a few files, most of them wrong. A message says what was found,
what was expected and what to do; a command says it on one line of standard error, prints nothing else and writes
nothing. [What the exit codes mean](cli.md#exit-codes). `python tests/test_wrong_uses.py` makes this page; a test
compares it with what happens, and sees to it that every class of error has a row.

| what is done | what is seen | error | code |
| --- | --- | --- | --- |
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """What came of every use, one after the other in one directory."""
    place = tmp_path_factory.mktemp("wrong")
    with prepared(place):
        told = [see(use) for use in USES]
    made = {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()} - set(FILES)
    assert not {n for n in made if not n.endswith(".lock")}, "a wrong use writes nothing"
    return told


def test_the_page_shows_what_happens(seen: list[Seen]) -> None:
    assert len(USES) >= 40
    assert PAGE.read_text(encoding="utf-8") == render(seen), "run: python tests/test_wrong_uses.py"


def test_a_command_ends_with_its_errors_code(seen: list[Seen]) -> None:
    for use, what in zip(USES, seen, strict=True):
        if what.code is not None:
            expected = 2 if what.kind is None else what.kind.exit_code  # type: ignore[attr-defined]
            assert what.code == expected, use.did


def test_every_class_of_error_has_a_message_that_somebody_has_read(seen: list[Seen]) -> None:
    classes = {
        c
        for module in (llmconfig_gym.errors, autollmresearch.errors)
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, Exception) and c.__module__ == module.__name__
    }
    assert len(classes) > 30
    assert classes - BASES <= {what.kind for what in seen}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as directory, prepared(Path(directory)):
        page = render([see(use) for use in USES])
    PAGE.write_text(page, encoding="utf-8")
