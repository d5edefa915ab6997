"""Where runs are: paths, database URLs, and names of what is meant in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.source import Source


@pytest.mark.parametrize(
    ("text", "place", "parts"),
    [
        ("runs.csv", "runs.csv", ()),
        ("optuna.db#big", "optuna.db", ("big",)),
        ("optuna.db# a, b ,", "optuna.db", ("a", "b")),
        ("sqlite:///optuna.db#big", "optuna.db", ("big",)),
        ("sqlite:////tmp/optuna.db", "/tmp/optuna.db", ()),
        ("file:///tmp/mlruns", "/tmp/mlruns", ()),
        ("postgresql://me:secret@host/db#big", "postgresql://me:secret@host/db", ("big",)),
    ],
)
def test_what_is_typed_is_a_place_and_names(text: str, place: str, parts: tuple[str, ...]) -> None:
    source = Source.of(text)
    assert (source.place, source.parts, str(source)) == (place, parts, text)
    assert (source.url is not None) == text.startswith("postgresql")


def test_a_file_that_is_called_so_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "runs#1.csv"
    path.touch()
    assert Source.of(str(path)).path == path
    assert Source.of(str(path)).exists()
    assert not Source.of(str(tmp_path / "none.csv")).exists()


def test_a_password_is_in_no_name() -> None:
    source = Source.of("postgresql://me:secret@host/db#big")
    assert (source.name, source.stem) == ("big", "big")
    with pytest.raises(ImportProblem) as problem:
        Source.of("postgresql://me:secret@host/db").choose("study", ("a", "b"))
    assert "secret" not in str(problem.value)


def test_one_thing_is_meant_without_a_name_and_several_must_be_named() -> None:
    assert Source.of("x.db").choose("study", ("only",)) == ("only",)
    assert Source.of("x.db#b,a").choose("study", ("a", "b", "c")) == ("b", "a")
    with pytest.raises(ImportProblem, match=r"several studies \(a, b\); name those meant, as in 'x.db#a'"):
        Source.of("x.db").choose("study", ("a", "b"))
    with pytest.raises(ImportProblem, match="did you mean 'cheap'"):
        Source.of("x.db#chep").choose("study", ("cheap", "b"))
    with pytest.raises(ImportProblem, match="holds no study with runs"):
        Source.of("x.db").choose("study", ())
