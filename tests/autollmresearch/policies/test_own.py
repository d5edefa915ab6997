"""A user's own method: a file and a name in it, and what is said where that does not work."""

from pathlib import Path

import pytest

from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.errors import ResultsMismatch, UnknownMethod
from autollmresearch.methods import identity, make_policy, split_methods

EXAMPLE = Path(__file__).parents[3] / "examples" / "my_method.py"
MINE = f"python:{EXAMPLE}:Neighbour"


def test_the_example_is_measured_like_every_other_method(toy_path: Path, tmp_path: Path) -> None:
    settings = BenchmarkSettings((str(toy_path),), ("metered:6",), ("random", MINE), budget=3, seeds=6)
    frame = run_benchmark(settings, tmp_path / "out", progress=False, workers=2)
    regret = frame[frame["trial"] == 1].groupby("method")["simple_regret"].mean()
    assert regret[MINE] < regret["random"]
    assert set(frame["outcome"]) == {"measured"}
    assert split_methods(f"copy,{MINE},random") == ["copy", MINE, "random"]


def test_another_version_of_the_file_is_another_method(toy_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(EXAMPLE.read_text())
    settings = BenchmarkSettings((str(toy_path),), ("metered:6",), (f"python:{path}:Neighbour",), budget=1, seeds=1)
    run_benchmark(settings, tmp_path / "out", progress=False)
    run_benchmark(settings, tmp_path / "out", progress=False)
    path.write_text(EXAMPLE.read_text() + "# changed\n")
    with pytest.raises(ResultsMismatch):
        run_benchmark(settings, tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "Mine", "must be a class"),
        ("Mine = 3", "Mine", "must be a class"),
        ("class Mine: pass", "Mine", r"gives an object with propose\(states\)"),
        ("def Mine(x): return x", "Mine", "fails with TypeError"),
        ("import nowhere_to_be_found", "Mine", "fails with ModuleNotFoundError: .*nowhere"),
        ("def broken(:", "Mine", "fails with SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, name: str, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UnknownMethod, match=said):
        make_policy(f"python:{path}:{name}")


@pytest.mark.parametrize("name", ["python", "python:", "python:Mine", "python:nowhere.py:Mine", "python:nowhere.py"])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(UnknownMethod, match=r"expected python:FILE\.py:NAME"):
        make_policy(name)
    with pytest.raises(UnknownMethod):
        identity(name)


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("hello")
    with pytest.raises(UnknownMethod, match="is no Python file"):
        make_policy(f"python:{tmp_path / 'mine.txt'}:Mine")
