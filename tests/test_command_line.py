"""Both programs behave alike: help that teaches, the same flags, one table of exit codes, completion, colour."""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import autollmresearch.cli.main
import llmconfig_gym.cli.main
from autollmresearch import doctor
from llmconfig_gym.cli.common import RESUME_HINT, coloured
from llmconfig_gym.cli.completion_command import SHELLS, commands_of
from llmconfig_gym.exits import Exit

ROOT = Path(__file__).parent.parent
MAINS = {"llmconfig-gym": llmconfig_gym.cli.main, "autollmresearch": autollmresearch.cli.main}
COMMANDS = [(p, c) for p, module in MAINS.items() for c in commands_of(module.build_parser())]
EVERYWHERE = {"--help", "--format", "--quiet"}

Run = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A line as one types it -> exit code, standard output, standard error."""

    def run(line: str) -> tuple[int, str, str]:
        program, *argv = shlex.split(line)
        try:
            code = MAINS[program].main(argv)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which nothing is, and a cache in which nothing is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOLLMRESEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def _parser(program: str, command: str = "") -> argparse.ArgumentParser:
    parser = MAINS[program].build_parser()
    return commands_of(parser)[command] if command else parser


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    """The command lines in a parser's epilog, without where their output goes."""
    lines = (line.strip().partition(" > ")[0] for line in (parser.epilog or "").splitlines())
    return [line for line in lines if line.split(" ")[0] in MAINS]


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_every_command_teaches_with_an_example_of_its_own(program: str, command: str) -> None:
    parser = _parser(program, command)
    assert parser.description
    assert all(a.help for a in parser._actions), "an argument without a word of explanation"
    assert any(line.startswith(f"{program} {command} ") or line == f"{program} {command}" for line in _examples(parser))


@pytest.mark.parametrize(("program", "command"), [*COMMANDS, *((p, "") for p in MAINS)])
def test_every_example_is_a_command_that_exists(program: str, command: str) -> None:
    for line in _examples(_parser(program, command)):
        name, *argv = shlex.split(line)
        assert callable(MAINS[name].build_parser().parse_args(argv).run), line


EXECUTED = [
    line
    for command in ("list", "show", "tell", "export", "twist", "completion")
    for line in _examples(_parser("llmconfig-gym", command))
    if line.startswith("llmconfig-gym") and "./mine" not in line
]


@pytest.mark.parametrize("line", EXECUTED)
def test_examples_that_need_nothing_do_what_they_say(line: str, run: Run, empty: Path) -> None:
    code, out, err = run(line)
    assert code == Exit.DONE, err
    assert out or any(empty.iterdir())


@pytest.mark.parametrize(("program", "command"), [c for c in COMMANDS if c[1] != "completion"])
def test_the_same_flags_are_everywhere(program: str, command: str) -> None:
    parser = _parser(program, command)
    known = {a.option_strings[-1]: a for a in parser._actions if a.option_strings}
    assert known.keys() >= EVERYWHERE
    if "--no-progress" in known:
        assert parser.get_default("resume_hint").endswith("."), "what takes long says how to go on after Ctrl-C"
    meanings = {o: known[o].help for o in ("--format", "--quiet", "--no-progress") if o in known}
    assert meanings == {o: h for o, h in MEANINGS.items() if o in known}


MEANINGS = {
    "--format": "output format (default: table)",
    "--quiet": "nothing but the result and errors",
    "--no-progress": "no progress bar",
}


@pytest.mark.parametrize("program", MAINS)
def test_a_program_says_its_version_and_its_exit_codes(program: str, run: Run) -> None:
    code, out, err = run(f"{program} --version")
    assert (code, err) == (0, "")
    assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\S*\n", out)
    code, out, _ = run(f"{program} --help")
    assert code == 0
    for known in Exit:
        assert f"  {known:<4} {known.meaning}\n" in out


def test_the_page_has_the_same_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in rows] == [(code, code.meaning) for code in Exit]


def test_exit_codes_as_a_script_sees_them(run: Run, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def codes(*lines: str) -> list[int]:
        return [run(line)[0] for line in lines]

    assert codes("llmconfig-gym list micro") == [Exit.DONE]
    assert codes("llmconfig-gym lst", "llmconfig-gym show micro/none", "llmconfig-gym import none.csv") == [2, 2, 2]
    (empty / "not.db").write_text("hello" * 100)
    assert codes("llmconfig-gym list steplaw", "autollmresearch status big --storage sqlite:///not.db") == [4, 4]
    monkeypatch.setattr("autollmresearch.policies.agent.find_spec", lambda name: None)
    assert codes("autollmresearch play micro/N98k-D1M --policy researcher-mini") == [Exit.NOT_INSTALLED]

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("autollmresearch.episode.run_episodes", interrupted)
    code, out, err = run("autollmresearch play micro/N98k-D1M --policy copy")
    assert (code, out) == (Exit.INTERRUPTED, "")
    assert err == "\nautollmresearch: interrupted. Nothing was kept: the same command plays the same episode again.\n"


def test_whatever_is_interrupted_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.cli.look.load_suite", mock.Mock(side_effect=KeyboardInterrupt))
    code, out, err = run("llmconfig-gym list micro --quiet")
    assert (code, out) == (Exit.INTERRUPTED, "")
    assert err == f"\nllmconfig-gym: interrupted. {RESUME_HINT}\n"


def test_quiet_leaves_the_result_and_errors(run: Run, empty: Path) -> None:
    loud, quiet = run("llmconfig-gym list"), run("llmconfig-gym list --quiet")
    assert loud[2].startswith("\npublic tables not downloaded yet: llmconfig-gym download steplaw")
    assert quiet == (0, loud[1], "")
    code, out, err = run("llmconfig-gym show micro/none --quiet")
    assert (code, out) == (2, "")
    assert err.startswith("llmconfig-gym: no experiment is called 'micro/none'; ")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("set_", "stream", "expected"),
    [
        ({}, Terminal(), "\x1b[1;31mno\x1b[0m"),
        ({"NO_COLOR": "1"}, Terminal(), "no"),
        ({"NO_COLOR": ""}, Terminal(), "\x1b[1;31mno\x1b[0m"),  # no-color.org: present and not empty
        ({"TERM": "dumb"}, Terminal(), "no"),
        ({}, io.StringIO(), "no"),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    set_: dict[str, str], stream: io.StringIO, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    assert coloured("no", "red", stream) == expected


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", MAINS)
def test_a_completion_script_knows_all_commands_and_options(program: str, shell: str, run: Run) -> None:
    code, out, err = run(f"{program} completion {shell}")
    assert (code, err) == (0, "")
    for name, parser in commands_of(MAINS[program].build_parser()).items():
        assert name in out
        for action in parser._actions:
            for option in action.option_strings:
                assert option.lstrip("-") in out


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("autollmresearch bench", {"benchmark"}),
        ("autollmresearch benchmark --prot", {"--protocol"}),
        ("autollmresearch train dist", {"distill"}),
        ("autollmresearch suggest --from run", {"runs.csv"}),
        ("llmconfig-gym import run", {"runs.csv"}),
        ("llmconfig-gym list --level m", {"medium"}),
        ("llmconfig-gym twist micro --how re", {"reversed"}),
    ],
)
def test_bash_completes(typed: str, expected: set[str], run: Run, empty: Path) -> None:
    program = typed.split()[0]
    (empty / "runs.csv").touch()
    (empty / "script").write_text(run(f"{program} completion bash")[1])
    look = (
        f"source ./script; COMP_WORDS=({typed}); COMP_CWORD={len(typed.split()) - 1}; "
        "$(complete -p " + program + " | sed 's/.* -F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", look], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected, done.stderr


def test_a_completion_without_its_library_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, out, err = run("llmconfig-gym completion bash")
    assert (code, out) == (Exit.NOT_INSTALLED, "")
    assert "pip install 'autollmresearch[completion]'" in err


def test_the_doctor_finds_this_installation_healthy(run: Run, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOLLMRESEARCH_MIRROR", "nowhere")
    code, out, err = run("autollmresearch doctor --format json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["healthy"]
    checks = {c["name"]: c for c in told["checks"]}
    assert checks["numpy"]["state"] == checks["micro"]["state"] == "ok"
    assert checks["numpy"]["core"]
    assert checks["researcher-mini"]["found"].startswith("1,516,800 weights")
    assert checks["steplaw"] == {
        **{"part": "suites", "name": "steplaw", "state": "missing", "found": "not downloaded"},
        **{"advice": "llmconfig-gym download steplaw", "core": False},
    }
    assert checks["mirror"]["found"] == "nowhere is no directory"
    assert checks["public tables"]["found"] == f"{empty / 'cache'}, not made yet"
    code, out, _ = run("autollmresearch doctor")
    assert code == 0
    assert re.search(r"^  broken   mirror .* nowhere is no directory; set AUTOLLMRESEARCH_MIRROR", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("requirement", "state", "core", "advice"),
    [
        ("not-there>=1", "broken", True, "pip install 'not-there>=1'"),
        ("numpy<1", "broken", True, "pip install 'numpy<1'"),
        ("not-there>=1; extra == 'bench'", "missing", False, "pip install 'autollmresearch[bench]'"),
        ("numpy<1; extra == 'bench'", "broken", False, "pip install 'autollmresearch[bench]'"),
    ],
)
def test_the_doctor_tells_what_is_needed_from_what_is_not(
    requirement: str, state: str, core: bool, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: [requirement, "numpy; extra == 'dev'"])
    (check,) = doctor.packages()
    assert (check.state, check.core, check.advice) == (state, core, advice)
    assert doctor.healthy([check]) is not core


def test_a_broken_core_is_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.mkdir()
    whole = (doctor.Path(doctor.__file__).parent / "agents/researcher-mini/model.safetensors").read_bytes()
    (agent / "model.safetensors").write_bytes(whole[:-1])
    monkeypatch.setattr("autollmresearch.policies.named.SHIPPED", agent)
    monkeypatch.setattr(doctor, "PARTS", (doctor.agents,))
    code, out, err = run("autollmresearch doctor")
    assert (code, err) == (Exit.NO, "")
    assert "broken   agent" in out
    assert "model.safetensors is cut off; pip install --force-reinstall autollmresearch" in out
