"""suggest, tell, status and export as an engineer types them: what is printed, what is kept, what is refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.cli.main import main

SPACE = """
parameters:
  - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}
  - {kind: grid, name: batch_size, levels: [64, 128, 256], log: true}
"""
RUNS = """run,N,tokens,lr,batch_size,val_loss
a,25M,5e8,1e-4,64,3.91
b,25M,5e8,1e-3,128,3.52
c,25M,5e8,1e-2,64,3.80
d,100M,2B,1e-4,64,3.55
e,100M,2B,1e-3,128,3.21
f,100M,2B,3e-3,64,3.28
"""
SUGGEST = "suggest --from runs.csv --target N=7e9,tokens=2e10 --space space.yaml --budget 3 --policy pooled-gp"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which everything is typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(RUNS)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


def typed(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a command that works prints: standard output and standard error."""
    assert main(shlex.split(command)) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def document(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one JSON document on standard output; standard error stays empty."""
    out, err = typed(f"{command} --format json", capsys)
    assert err == ""
    data = json.loads(out)
    assert isinstance(data, dict)
    return data


def refused(command: str, capsys: pytest.CaptureFixture[str], expected: int = 2) -> str:
    """The one line of a command with bad input."""
    try:
        code: object = main(shlex.split(command))
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (expected, "", 1)
    return err


def test_a_suggestion_without_a_study_keeps_nothing_and_says_how_to(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = typed(SUGGEST, capsys)
    assert err.splitlines() == [
        "note: extrapolating: N 7.0e9 is 70x beyond the largest run, 1.0e8",
        "note: extrapolating: tokens 2.0e10 is 10x beyond the largest run, 2.0e9",
    ]
    lines = out.splitlines()
    assert lines[0] == "trial 0, not kept (0 of 3 used)"
    assert lines[2].split()[0] == "lr"
    assert lines[3].split()[0] == "batch_size"
    assert any(line.startswith("why:      least posterior mean of a Gaussian process over 6") for line in lines)
    assert any(line.startswith("expected: ") for line in lines)
    assert "from:     6 cheaper runs of runs.csv at 2 scales, for N 7.0e9, tokens 2.0e10 (8.4e20 FLOPs)" in lines
    assert sorted(p.name for p in place.iterdir()) == ["runs.csv", "space.yaml"]
    keep = next(line.strip() for line in lines if "--study" in line)
    assert keep == f"autollmresearch {SUGGEST} --study runs"
    kept, _ = typed(keep.removeprefix("autollmresearch "), capsys)
    assert kept.splitlines()[2:4] == lines[2:4]
    assert kept.splitlines()[0] == "trial 0 of runs (1 of 3 used, 2 left after it)"


def test_from_suggestion_to_the_last_outcome(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = document(f"{SUGGEST} --study big", capsys)
    assert (first["trial"], first["new"], first["used"], first["left"]) == (0, True, 1, 2)
    assert first["record"] == "autollmresearch tell big 0 VALUE"
    assert first["target"] == {"N": 7_000_000_000, "tokens": 20_000_000_000}
    again = document("suggest --study big", capsys)
    assert again["config"] == first["config"]
    assert not again["new"]
    assert "it is shown again, and nothing is spent" in again["notes"][0]
    (place / "runs.csv").unlink()
    told = document("tell big 0 2.31 --details grad_norm=0.8 kl=1e-3", capsys)
    assert (told["value"], told["details"]) == (2.31, {"grad_norm": 0.8, "kl": 1e-3})
    assert told["next"] == "autollmresearch suggest --study big"
    second = document("suggest --study big", capsys)
    assert second["config"] != first["config"]
    out, _ = typed("tell big 1 --failed 'out of memory'", capsys)
    assert out.splitlines() == [
        "trial 1 of big failed: out of memory",
        "best so far: trial 0 with 2.31",
        "1 trial left: autollmresearch suggest --study big",
    ]
    typed("suggest --study big", capsys)
    out, _ = typed("tell big 2 2.2", capsys)
    assert out.splitlines()[1:] == ["best so far: this one", "the budget is spent"]
    assert "the budget of 3 trials of big is spent; the best is trial 2 with val_loss 2.2" in refused(
        "suggest --study big", capsys
    )
    assert "it can only be raised" in refused("suggest --study big --budget 2", capsys)
    more = document("suggest --study big --budget 4", capsys)
    assert (more["trial"], more["left"], more["notes"]) == (3, 0, ["the budget is raised from 3 to 4"])
    status = document("status big", capsys)
    assert [t["status"] for t in status["trials"]] == ["complete", "failed", "complete", "open"]
    assert (status["best"], status["left"], status["evidence"]) == (2, 0, 6)
    shown, _ = typed("status big", capsys)
    assert "4 of 4 trials used; proposed by pooled-gp from 6 cheaper runs" in shown
    assert "out of memory" in shown


def test_another_trial_beside_an_open_one(capsys: pytest.CaptureFixture[str]) -> None:
    first = document(f"{SUGGEST} --study big", capsys)
    second = document("suggest --study big --another", capsys)
    assert (second["trial"], second["new"], second["used"]) == (1, True, 2)
    assert second["config"] != first["config"]


def test_another_storage_is_named_in_every_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{place / 'elsewhere.db'}"
    data = document(f"{SUGGEST} --study big --storage {url}", capsys)
    assert data["record"] == f"autollmresearch tell big 0 VALUE --storage {url}"
    out, _ = typed(f"tell big 0 2.31 --storage {url}", capsys)
    assert out.endswith(f"2 trials left: autollmresearch suggest --study big --storage {url}\n")
    assert "no study is called 'big'" in refused("status big", capsys)


def test_priors_only(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "runs.csv").write_text("\n".join(RUNS.splitlines()[:4]))
    out, err = typed(SUGGEST, capsys)
    assert "runs.csv has 3 usable runs, fewer than the 5 that a fit needs: they are not used, and the" in err
    assert "from:     0 cheaper runs of runs.csv, for N 7.0e9" in out
    out, err = typed("suggest --target N=7B --space space.yaml --policy random", capsys)
    assert "no --from: nothing is known of cheaper runs, and the proposal rests on priors only" in err
    assert "from:     0 cheaper runs, for N 7.0e9" in out


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_what_is_exported_can_be_learned_from(place: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = "sqlite:///s.db"
    made = f"{SUGGEST} --study big --storage {url}".replace("--budget 3", "--budget 6").replace("pooled-gp", "random")
    for i in range(6):
        document(made if i == 0 else f"suggest --study big --storage {url}", capsys)
        outcome = f"--failed boom --storage {url}" if i == 2 else f"{2.3 - 0.01 * i} --storage {url}"
        typed(f"tell big {i} {outcome}", capsys)
    out, _ = typed(f"export big --out out{ending} --storage {url}", capsys)
    assert out == f"6 trials of big written to out{ending}\n"
    data = document(f"suggest --from out{ending} --target N=70B,tokens=2e11 --space space.yaml --policy copy", capsys)
    assert data["evidence"] == 6
    assert "extrapolating: N 7.0e10 is 10x beyond the largest run, 7.0e9" in data["notes"]
    assert any("1 run of out" in note and "diverged" in note for note in data["notes"])


def test_a_study_becomes_a_suite(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from llmconfig_gym.suite import Suite

    typed(f"{SUGGEST} --study big", capsys)
    assert "no trial of big has a value, so it makes no suite yet" in refused("export big --out big-suite", capsys)
    typed("tell big 0 2.31", capsys)
    typed("export big --out big-suite", capsys)
    suite = Suite.load(place / "big-suite")
    assert suite.ids == (*("big-suite/N25M-tokens500M", "big-suite/N100M-tokens2B", "big-suite/N7B-tokens20B"),)
    target = suite.experiment(suite.ids[-1])
    assert (target.level, target.values.tolist()) == ("high", [2.31])
    assert "exists already" in refused("export big --out big-suite", capsys)
    assert "big.xlsx ends in '.xlsx'; expected .csv, .jsonl, .parquet, or a directory" in refused(
        "export big --out big.xlsx", capsys
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("suggest", "at which scale will the run be made? say --target, such as --target N=7e9,tokens=2e10"),
        ("suggest --target N=7B", "say --from FILE with cheaper runs, or at least --space"),
        ("suggest --from none.csv --target N=7B", "none.csv does not exist; expected a file of runs"),
        ("suggest --from runs.csv --target N=7Q,tokens=1B", "target N: '7Q' is not a quantity"),
        (
            "suggest --from runs.csv --target size=7B,tokens=1B,x=2",
            "target: no column is called 'x'; runs.csv has run, N",
        ),
        ("suggest --from runs.csv --target N=7B,tokens=1B --space none.yaml", "none.yaml cannot be read: No such file"),
        ("suggest --from runs.csv --target N=7B,tokens=1B --metric loss", "no column is called 'loss'; did you mean"),
        ("suggest --from runs.csv --target N=7B,tokens=1B --policy analist", "no method is called 'analist'"),
        ("suggest --from runs.csv --target N=7B,tokens=1B --budget 0", "--budget must be at least 1, found 0"),
        ("suggest --from runs.csv --target N=7B --another", "--storage and --another need --study"),
        ("suggest --study big", "no study is called 'big'; none is known"),
        ("tell big 0 2.3", "no study is called 'big'"),
        ("tell big 0", "say either the value or --failed REASON"),
        ("tell big 0 2.3 --failed x", "say either the value or --failed REASON"),
        ("tell big zero 2.3", "invalid int value: 'zero'"),
        ("tell big 0 2.3 --details kl", "--details kl: expected a name and a number, such as grad_norm=0.8"),
        (f"{SUGGEST} --study ''", "--study needs a name, such as --study big"),
        (f"{SUGGEST} --study big".replace("N=7e9", "n=7e9"), "no column is called 'n'; did you mean 'N'"),
        ("status big", "no study is called 'big'"),
        ("export big --out x.csv", "no study is called 'big'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_made(
    place: Path, command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(command, capsys)
    assert sorted(p.name for p in place.iterdir()) == ["runs.csv", "space.yaml"]


def test_told_twice_unknown_or_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    typed(f"{SUGGEST} --study big", capsys)
    assert "nan is no outcome; if the run diverged or crashed, say so:" in refused("tell big 0 nan", capsys)
    assert "-inf is no outcome" in refused("tell big 0 -inf", capsys)
    assert "'two' is no number; expected a value such as 2.31" in refused("tell big 0 two", capsys)
    assert "study big has no trial 1; it has 0 (open)" in refused("tell big 1 2.0", capsys)
    typed("tell big 0 -1.5e-3", capsys)
    assert "trial 0 of big has its value already (-0.0015); nothing was changed" in refused("tell big 0 2.0", capsys)
    assert "no study is called 'bgi'; did you mean 'big'?" in refused("tell bgi 0 2.0", capsys)


def test_an_address_that_is_no_storage(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "use sqlite or postgresql" in refused("suggest --study big --storage mysql://x/y", capsys, 4)
    assert "'nonsense' is no storage URL" in refused("suggest --study big --storage nonsense", capsys, 4)
    assert [p.name for p in place.iterdir()] == ["runs.csv", "space.yaml"]


def test_a_file_that_is_no_storage(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "autollmresearch.db").write_text("hello" * 100)
    assert "the file is no SQLite database; move it away or name another one" in refused("status big", capsys, 4)
    assert (place / "autollmresearch.db").read_text() == "hello" * 100


def test_a_study_told_by_run_is_not_told_by_hand(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "study.yaml").write_text(
        "name: tiny\ncommand: echo {lr} val_loss=1\ntarget: {N: 4k}\nbudget: 2\npolicy: random\n"
        + SPACE.replace("  - {kind: grid, name: batch_size, levels: [64, 128, 256], log: true}\n", "")
    )
    out, err = typed("run study.yaml --quiet", capsys)
    assert err == ""
    assert out.splitlines()[0] == "tiny: 2 of 2 trials are done"
    assert out.splitlines()[-1] == "more: autollmresearch status runs/tiny"
    data = document("run study.yaml", capsys)
    assert [t["value"] for t in data["trials"]] == [1.0, 1.0]
    assert len(document("status runs/tiny", capsys)["trials"]) == 2
    assert "tiny is run by `autollmresearch run`, in" in refused("tell runs/tiny 0 1.0", capsys)
    storage = "--storage sqlite:///runs/tiny/study.db"
    assert "is run by `autollmresearch run` in" in refused(f"suggest --study tiny {storage}", capsys)
    assert "study.yaml: budget is a whole number" in _with(place, "budget: 2", "budget: none", capsys)


def _with(place: Path, old: str, new: str, capsys: pytest.CaptureFixture[str]) -> str:
    path = place / "study.yaml"
    path.write_text(path.read_text().replace(old, new))
    return refused("run study.yaml", capsys)


def test_an_export_is_understood_without_being_told_the_space(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(f"{SUGGEST} --study big".replace("--budget 3", "--budget 6").replace("pooled-gp", "random"), capsys)
    for i in range(6):
        typed(f"tell big {i} {2.3 - 0.01 * i}", capsys)
        if i < 5:
            typed("suggest --study big", capsys)
    typed("export big --out out.csv", capsys)
    data = document("suggest --from out.csv --target N=70B,tokens=2e11 --policy random", capsys)
    assert list(data["config"]) == ["lr", "batch_size"]
    assert data["evidence"] == 6


def test_an_agent_that_scores_says_what_else_may_be_best(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = SUGGEST.replace("pooled-gp", f"agent:{checkpoint},decode=score")
    said = document(base, capsys)
    chances = [c["probability"] for c in said["candidates"]]
    assert len(chances) == 5
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) <= 1
    assert said["candidates"][0]["config"]["batch_size"] == said["config"]["batch_size"]
    kept = document(f"{base} --study big", capsys)
    assert kept["candidates"] == said["candidates"]
    shown, _ = typed("suggest --study big", capsys)
    start = shown.splitlines().index(next(x for x in shown.splitlines() if x.startswith("best:")))
    lines = shown.splitlines()[start : start + 5]
    assert all(" % lr " in line for line in lines), "a probability and a configuration in each"
    assert document("status big", capsys)["trials"][0]["candidates"] == said["candidates"]
    plain = document(f"{SUGGEST} --study other", capsys)
    assert plain["candidates"] == []


def test_by_default_the_shipped_agent_thinks_and_the_analyst_expects(
    shipped: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autollmresearch.policies.score.MOST", 20)
    asked = SUGGEST.removesuffix(" --policy pooled-gp")
    made = document(f"{asked} --study big", capsys)
    assert (made["policy"], len(made["candidates"])) == ("researcher-mini", 5)
    assert made["candidates"][0]["config"] == made["config"]
    out, _ = typed("suggest --study big", capsys)
    lines = out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("why:"))
    labels = [line.split(":")[0] for line in lines[first:] if line[:1].isalpha()]
    assert labels[:6] == ["why", "trends", "by", "expected", "best", "from"]
    assert "expected: val_loss" in out
    assert made["trends"].split(". ")[0] in out
    told = document("tell big 0 2.31", capsys)
    assert (told["expected"], told["trends"]) == (made["expected"], made["trends"])
    second = document("suggest --study big", capsys)
    assert second["config"] != made["config"]


def test_how_an_agent_decodes_is_said_with_the_policy(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = SUGGEST.removesuffix(" --policy pooled-gp")
    made = document(f"{asked} --decode greedy", capsys)
    assert (made["policy"], made["candidates"]) == ("researcher-mini:decode=greedy", [])
    assert "--decode greedy" in made["keep"]
    assert "'pooled-gp' does not decode; --decode is for researcher-mini and agent:PATH" in refused(
        f"{SUGGEST} --decode score", capsys
    )
    assert "invalid choice: 'beam'" in refused(f"{asked} --decode beam", capsys)


def test_where_no_agent_can_be_asked_the_analyst_proposes_and_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autollmresearch.policies.agent.find_spec", lambda name: None)
    out, err = typed(SUGGEST.removesuffix(" --policy pooled-gp"), capsys)
    assert "by:       analyst" in out
    assert "pip install 'autollmresearch[agent]'" in err
    assert "pip install" not in typed(SUGGEST, capsys)[1], "nobody asked for an agent"
