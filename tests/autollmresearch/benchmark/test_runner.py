"""Runner: budgets, rows, columns; the same numbers however it was run, interrupted or damaged."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.benchmark.metrics import episode_metrics, recommendation_metrics
from autollmresearch.benchmark.runner import read_manifest, read_results, run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.cli.main import main
from autollmresearch.errors import BrokenPolicy, InvalidSettings, ResultsMismatch
from autollmresearch.methods import METHODS, make_policy
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.suite import Suite

DTYPES = {
    **dict.fromkeys(["method", "suite", "task", "experiment", "protocol"], "string"),
    **dict.fromkeys(["seed", "trial"], "int64"),
    **dict.fromkeys(["config", "outcome"], "string"),
    **dict.fromkeys(["value", "best_value", "simple_regret", "simple_regret_unclipped"], "double"),
    **dict.fromkeys(["median_regret", "excess_percent", "cumulative_regret"], "double"),
    "within_noise": "bool",
    "seconds": "double",
    "read_tokens": "int64",
    "written_tokens": "int64",
    "cost": "double",
}
WRITTEN = ["episodes.jsonl", "results.parquet", "settings.json", "targets.json"]
METRICS = (*("simple_regret", "simple_regret_unclipped", "median_regret", "excess_percent", "cumulative_regret"),)
NAN = float("nan")


@pytest.fixture
def settings(small_path: Path) -> BenchmarkSettings:
    """Two targets, 2 protocols, 2 methods: 8 cells of 2 seeds and 4 trials."""
    return BenchmarkSettings((str(small_path),), ("full", "metered:3"), ("random", "copy"), budget=4, seeds=2)


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Policy], None]:
    """Makes a policy known as a method for one test: `method(name, policy)`."""

    def add(name: str, policy: Policy) -> None:
        monkeypatch.setitem(METHODS, name, lambda: policy)  # type: ignore[arg-type]

    return add


def run(settings: BenchmarkSettings, out: Path, workers: int = 1) -> pd.DataFrame:
    return run_benchmark(settings, out, workers=workers, progress=False)


def same_rows(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


def test_results_have_exactly_these_columns_in_this_order(settings: BenchmarkSettings, tmp_path: Path) -> None:
    run(settings, tmp_path / "out")
    schema = pa.parquet.read_schema(tmp_path / "out" / "results.parquet")
    found = {name: str(kind).removeprefix("large_") for name, kind in zip(schema.names, schema.types, strict=True)}
    assert list(found.items()) == list(DTYPES.items())


def test_every_episode_has_exactly_its_budget_of_rows(settings: BenchmarkSettings, tmp_path: Path) -> None:
    frame = run(settings, tmp_path / "out")
    assert len(frame) == 2 * 2 * 2 * 2 * 4
    episodes = frame.groupby(["experiment", "protocol", "method", "seed"], sort=False)
    assert len(episodes) == 2 * 2 * 2 * 2
    assert all(part["trial"].tolist() == [1, 2, 3, 4] for _, part in episodes)
    assert set(frame["seed"]) == {0, 1}
    assert (frame[["suite", "task"]] == ["toy", "pretraining"]).all(axis=None)


def test_targets_are_the_experiments_of_the_level_that_have_something_cheaper(
    settings: BenchmarkSettings, toy_path: Path, tmp_path: Path
) -> None:
    settings = replace(settings, suites=(str(toy_path),), methods=("random",), protocols=("full",))
    high = run(settings, tmp_path / "high")
    assert set(high["experiment"]) == {"toy/dense-1e08", "toy/dense-2e08", "toy/mix-high", "toy/shape-high"}
    medium = run(replace(settings, level="medium"), tmp_path / "medium")
    assert set(medium["experiment"]) == {"toy/dense-1e07", "toy/mix-medium", "toy/shape-medium"}
    assert set(high["task"]) == set(medium["task"]) == {"pretraining", "mixture", "architecture"}


def test_rows_hold_the_outcomes_of_the_tables_and_their_metrics(
    settings: BenchmarkSettings, toy: Suite, tmp_path: Path
) -> None:
    frame = run(settings, tmp_path / "out")
    for (id_, *_), part in frame.groupby(["experiment", "protocol", "method", "seed"], sort=False):
        e = toy.experiment(id_)
        outcomes = [e.tell(json.loads(text)) for text in part["config"]]
        assert part["outcome"].tolist() == [o.kind for o in outcomes] == ["measured"] * 4
        expected = episode_metrics(e, outcomes)
        for name in ("value", "best_value", *METRICS):
            np.testing.assert_array_equal(part[name], np.array([r[name] for r in expected], dtype=float))
        assert part["within_noise"].tolist() == [r["within_noise"] for r in expected]
    assert (frame["seconds"] > 0).all()


def test_a_policy_that_misbehaves_gets_its_budget_and_no_more(
    settings: BenchmarkSettings,
    toy: Suite,
    tmp_path: Path,
    method: Callable[[str, Policy], None],
    scripted: Callable[..., Policy],
) -> None:
    e = toy.experiment("toy/dense-1e08")
    first, second = e.pool.config(0), e.pool.config(1)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    garbage = [
        "I think <config>nothing</config>",
        "\ud800 and \x00",
        NAN,
        None,
        {"lr": NAN, "batch_size": 8},
        {"lr": {1, 2}, "batch_size": np.arange(3)},
        {("a", "b"): 1},
        deep,
        object(),
    ]
    method("garbage", scripted(first, dict(first), json.dumps(first), *garbage, second, "one more", "and more"))
    settings = replace(settings, methods=("garbage",), protocols=("full",), seeds=1, budget=4 + len(garbage))
    frame = run(settings, tmp_path / "out")
    part = frame[frame["experiment"] == e.id].reset_index(drop=True)
    kinds = ["measured", "duplicate", "duplicate", *["invalid"] * len(garbage), "measured"]
    assert part["outcome"].tolist() == kinds
    assert part["trial"].tolist() == list(range(1, len(kinds) + 1))
    outcomes = [e.outcome(0), *[Outcome("duplicate")] * 2, *[Outcome("invalid")] * len(garbage), e.outcome(1)]
    expected = pd.DataFrame(episode_metrics(e, outcomes))
    for name in METRICS:
        np.testing.assert_array_equal(part[name], expected[name])
    assert part["value"].notna().tolist() == [k == "measured" for k in kinds]
    assert [json.loads(text) for text in part["config"][:3]] == [first] * 3
    assert part["config"][3] == "I think <config>nothing</config>"
    assert part["config"][5:7].tolist() == ["nan", "null"]
    assert json.loads(part["config"].iloc[-1]) == second


def test_a_policy_that_returns_more_than_asked_is_refused(
    settings: BenchmarkSettings, tmp_path: Path, method: Callable[[str, Policy], None]
) -> None:
    class Greedy:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            return make_policy("random").propose([*states, *states])

    method("greedy", Greedy())
    with pytest.raises(BrokenPolicy, match="Greedy returned 4 proposals"):
        run(replace(settings, methods=("greedy",)), tmp_path / "out")
    assert not (tmp_path / "out" / "results.parquet").exists()


@pytest.fixture
def active(settings: BenchmarkSettings) -> BenchmarkSettings:
    """Two targets and two budgets of cost: 12 cells of 2 seeds and 4 parts."""
    return replace(settings, protocols=("active:1", "active:3"), methods=("random", "copy", "sha"))


def test_under_active_a_row_is_what_is_recommended_after_a_part_of_the_budget(
    active: BenchmarkSettings, toy: Suite, tmp_path: Path
) -> None:
    frame = run(active, tmp_path / "out")
    assert tuple(frame.columns) == tuple(DTYPES)
    assert len(frame) == 2 * 2 * 3 * 2 * 4
    for (id_, *_), part in frame.groupby(["experiment", "protocol", "method", "seed"], sort=False):
        e = toy.experiment(id_)
        assert part["trial"].tolist() == [1, 2, 3, 4]
        expected = recommendation_metrics(e, [e.tell(json.loads(text)) for text in part["config"]])
        for name in ("value", "best_value", *METRICS):
            np.testing.assert_array_equal(part[name], np.array([r[name] for r in expected], dtype=float))
    assert set(frame["outcome"]) == {"measured"}


def test_an_active_run_goes_on_where_it_stopped_and_is_the_same_on_two_workers(
    active: BenchmarkSettings, tmp_path: Path, method: Callable[[str, Policy], None]
) -> None:
    whole = run(active, tmp_path / "whole")
    same_rows(run(active, tmp_path / "two", workers=2), whole)

    class Stops:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "copy", Stops)  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            run(active, tmp_path / "out")
    assert len(list((tmp_path / "out" / "cells").glob("*.parquet"))) == 1
    same_rows(run(active, tmp_path / "out"), whole)


def test_a_method_that_chooses_what_to_run_serves_no_other_protocol(active: BenchmarkSettings, tmp_path: Path) -> None:
    frame = run(replace(active, protocols=("active:1", "full")), tmp_path / "out")
    mine = frame[frame["method"] == "sha"].groupby("protocol")
    assert set(mine.get_group("full")["outcome"]) == {"not applicable"}
    assert "chooses itself what to run" in mine.get_group("full")["config"].iloc[0]
    assert mine.get_group("active:1")["simple_regret"].notna().all()


def test_an_unknown_noise_floor_is_null_in_the_results(
    settings: BenchmarkSettings, toy_path: Path, tmp_path: Path
) -> None:
    frame = run(replace(settings, suites=(str(toy_path),), methods=("random",)), tmp_path / "out")
    unknown = frame.groupby("task")["within_noise"].apply(lambda c: c.isna().all())
    assert unknown.to_dict() == {"pretraining": False, "mixture": True, "architecture": False}
    assert frame.loc[frame["task"] != "mixture", "within_noise"].notna().all()


def test_numbers_do_not_depend_on_the_number_of_workers(settings: BenchmarkSettings, tmp_path: Path) -> None:
    settings = replace(settings, methods=("random", "copy", "pooled-gp"), budget=3)
    same_rows(run(settings, tmp_path / "one"), run(settings, tmp_path / "two", workers=2))


def test_numbers_of_a_method_do_not_depend_on_what_else_is_run(settings: BenchmarkSettings, tmp_path: Path) -> None:
    settings = replace(settings, methods=("random", "tpe:startup=2"))
    frame = run(settings, tmp_path / "all")
    alone = run(replace(settings, methods=("tpe:startup=2",), protocols=("metered:3",)), tmp_path / "alone")
    chosen = frame[(frame["method"] == "tpe:startup=2") & (frame["protocol"] == "metered:3")]
    same_rows(chosen.reset_index(drop=True), alone)
    more = run(replace(settings, methods=("random",), seeds=3), tmp_path / "more")
    chosen = frame[frame["method"] == "random"].reset_index(drop=True)
    same_rows(more[more["seed"] < 2].reset_index(drop=True), chosen)


def test_experiments_with_the_same_pool_have_draws_of_their_own(
    settings: BenchmarkSettings, toy_path: Path, tmp_path: Path
) -> None:
    """The intervals take experiments to be independent: one seed must not mean the same draw on all of them."""
    wide = replace(settings, suites=(str(toy_path),), methods=("random",), protocols=("full",), budget=1, seeds=60)
    drawn = {
        level: run(replace(wide, level=level), tmp_path / level).query("task == 'mixture'")["config"].tolist()
        for level in ("medium", "high")
    }
    assert set(drawn["medium"]) == set(drawn["high"])
    assert sum(a == b for a, b in zip(*drawn.values(), strict=True)) < 15  # chance: 60 / 14


def test_methods_compute_on_one_thread_whichever_library_is_loaded_first(small_path: Path, tmp_path: Path) -> None:
    """A BLAS that is loaded inside a policy is limited too, so that a first cell computes as all others do."""
    program = f"""
import sys
from threadpoolctl import threadpool_info
from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.methods import METHODS, make_policy
class Looks:
    def propose(self, states):
        import sklearn.gaussian_process
        print([i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"])
        return make_policy("random").propose(states)
METHODS["looks"] = Looks
from pathlib import Path
settings = BenchmarkSettings(({str(small_path)!r},), methods=("looks",), budget=1, seeds=1)
run_benchmark(settings, Path({str(tmp_path / "out")!r}), progress=False)
"""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"}
    found = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True).stdout
    threads = [json.loads(text) for text in found.splitlines()]
    assert len(threads) == 2
    assert all(set(counts) == {1} for counts in threads), found


def test_a_method_that_cannot_serve_an_experiment_has_rows_that_say_why(
    settings: BenchmarkSettings, tmp_path: Path
) -> None:
    """The toy suite does not say how many tokens a batch is; the other methods' rows stay as they were."""
    settings = replace(settings, methods=("random", "published-law"), protocols=("full",))
    frame = run(settings, tmp_path / "out")
    refused = frame[frame["method"] == "published-law"]
    assert len(refused) == 2 * 2 * 4
    assert set(refused["outcome"]) == {"not applicable"}
    assert refused["config"].str.startswith("the law counts a batch in tokens").all()
    assert refused[["value", *METRICS, "within_noise"]].isna().all(axis=None)
    assert refused.groupby("seed")["trial"].apply(list).tolist() == [[1, 2, 3, 4] * 2] * 2
    alone = run(replace(settings, methods=("random",)), tmp_path / "alone")
    same_rows(frame[frame["method"] == "random"].reset_index(drop=True), alone)


def test_the_oracle_is_shown_the_table(settings: BenchmarkSettings, toy: Suite, tmp_path: Path) -> None:
    frame = run(replace(settings, methods=("oracle",), seeds=20), tmp_path / "out")
    last = frame[frame["trial"] == 4]
    assert last["simple_regret"].mean() < 0.01
    assert frame["simple_regret"].max() > 0  # its measurement is noisy
    for (id_, _), part in frame.groupby(["experiment", "trial"]):
        assert (part["value"] <= np.nanquantile(toy.experiment(id_).values, 0.6)).all()


def test_a_finished_benchmark_is_read_not_run_again(
    settings: BenchmarkSettings, tmp_path: Path, method: Callable[[str, Policy], None]
) -> None:
    frame = run(settings, tmp_path / "out")

    class Fails:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            raise AssertionError("run again")

    method("random", Fails())
    again = run(settings, tmp_path / "out")
    pd.testing.assert_frame_equal(frame, again, check_exact=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == WRITTEN


@pytest.fixture
def interrupted(settings: BenchmarkSettings, tmp_path: Path) -> tuple[BenchmarkSettings, Path, pd.DataFrame]:
    """A run that stopped at its last cell, and the rows that it should have given."""
    whole = run(settings, tmp_path / "whole")
    calls = 0

    class Stops:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            nonlocal calls
            calls += 1
            if calls > 12:  # the fourth of its cells
                raise KeyboardInterrupt
            return CopyPolicy().propose(states)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "copy", Stops)  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            run(settings, tmp_path / "out")
    assert len(list((tmp_path / "out" / "cells").glob("*.parquet"))) == 7
    return settings, tmp_path / "out", whole


Interrupted = tuple[BenchmarkSettings, Path, pd.DataFrame]


def test_a_run_goes_on_with_the_cells_that_are_missing(interrupted: Interrupted) -> None:
    settings, out, whole = interrupted
    kept = {p: p.read_bytes() for p in (out / "cells").glob("*.parquet")}
    done = pd.concat([pd.read_parquet(p) for p in kept])
    frame = run(settings, out)
    same_rows(frame, whole)
    keys = ["experiment", "protocol", "method", "seed", "trial"]
    both = frame.merge(done, on=keys, suffixes=("", "_before"))
    assert len(both) == 56
    assert (both["seconds"] == both["seconds_before"]).all()
    assert sorted(p.name for p in out.iterdir()) == WRITTEN


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _drop_a_row(path: Path) -> None:
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)


def _drop_a_column(path: Path) -> None:
    pd.read_parquet(path).drop(columns="value").to_parquet(path, index=False)


DAMAGE: Mapping[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"PAR1 nothing of the kind PAR1"),
    "truncated": _truncate,
    "a row missing": _drop_a_row,
    "a column missing": _drop_a_column,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cell_is_run_again(interrupted: Interrupted, damage: str) -> None:
    settings, out, whole = interrupted
    cells = sorted((out / "cells").glob("*.parquet"))
    for path in (cells[0], cells[5]):
        DAMAGE[damage](path)
    (out / "cells" / "stranger.parquet").write_bytes(b"what a stranger left")
    same_rows(run(settings, out), whole)


@pytest.mark.parametrize("damage", ["empty", "garbage", "truncated", "a column missing"])
def test_damaged_results_are_a_typed_error(settings: BenchmarkSettings, tmp_path: Path, damage: str) -> None:
    run(settings, tmp_path / "out")
    DAMAGE[damage](tmp_path / "out" / "results.parquet")
    with pytest.raises(ResultsMismatch, match=r"results\.parquet is damaged; remove .* and run the benchmark again"):
        run(settings, tmp_path / "out")
    with pytest.raises(ResultsMismatch, match="is damaged"):
        read_results(tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"digest": 7}', '{"digest": "a", "version": "1", "settings": {"seed": 1}}', "\xff"],
)
def test_damaged_settings_are_a_typed_error(settings: BenchmarkSettings, tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ResultsMismatch, match=r"settings\.json is missing or damaged; choose another --out or remove"):
        run(settings, tmp_path)
    with pytest.raises(ResultsMismatch, match="is missing or damaged"):
        read_manifest(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("change", [{"budget": 5}, {"seeds": 1}, {"methods": ("random",)}, {"level": "medium"}])
def test_other_settings_in_the_same_place_are_refused(
    settings: BenchmarkSettings, tmp_path: Path, change: dict[str, Any]
) -> None:
    run(settings, tmp_path / "out")
    before = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    with pytest.raises(ResultsMismatch, match="holds results of other settings, tables, models or another version"):
        run(replace(settings, **change), tmp_path / "out")
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_a_place_that_holds_something_else_is_left_alone(settings: BenchmarkSettings, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ResultsMismatch, match="is not empty and holds no benchmark; choose another --out"):
        run(settings, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_settings_that_are_refused_leave_nothing_behind(settings: BenchmarkSettings, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        run(replace(settings, budget=0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_kill_leaves_of_half_written_files_is_no_obstacle(settings: BenchmarkSettings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".settings.json.k2j4.json").write_text('{"sett')
    frame = run(settings, out)
    assert len(frame) == 64
    (out / "cells").mkdir()  # killed between the results and the removal of the cells
    (out / "cells" / "x.parquet").write_bytes(b"")
    pd.testing.assert_frame_equal(run(settings, out), frame, check_exact=True)
    assert not (out / "cells").exists()


SLOW = """
import sys, time
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.cli.main import main
from autollmresearch.methods import METHODS
class Slow(RandomPolicy):
    def propose(self, states):
        time.sleep(0.08)
        return super().propose(states)
METHODS["slow"] = Slow
sys.exit(main(sys.argv[1:]))
"""
"""The command line with one method that gives a kill time to hit."""


def test_kill_minus_9_at_any_moment_loses_no_row_and_changes_none(
    small_path: Path, tmp_path: Path, method: Callable[[str, Policy], None]
) -> None:
    """A real process, killed at random moments and started again by the same command until it is done."""
    killed = tmp_path / "killed"
    arguments = ["benchmark", "--suite", str(small_path), "--protocol", "full,metered:3", "--budget", "12"]
    arguments += ["--methods", "random,tpe:startup=1,slow", "--seeds", "4", "--workers", "1", "--no-progress"]
    arguments += ["--out", str(killed)]
    rng = random.Random(0)
    for moment in (0, 2, 6):  # finished cells before the kill, of 12
        process = subprocess.Popen([sys.executable, "-c", SLOW, *arguments], stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if (killed / "settings.json").exists() and len(list((killed / "cells").glob("[!.]*.parquet"))) >= moment:
                time.sleep(rng.uniform(0, 0.2))
                break
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert len(list((killed / "cells").glob("[!.]*.parquet"))) >= 6
    method("slow", RandomPolicy())
    assert main(arguments) == 0
    methods = ("random", "tpe:startup=1", "slow")
    settings = BenchmarkSettings((str(small_path),), ("full", "metered:3"), methods, budget=12, seeds=4)
    same_rows(pd.read_parquet(killed / "results.parquet"), run(settings, tmp_path / "whole"))
    left = {p.name for p in killed.iterdir() if not p.name.startswith(("regret", "."))}
    assert left == {
        "episodes.jsonl",
        "ranks-full.png",
        "ranks-metered-3.png",
        "report.html",
        "report.md",
        "results.parquet",
        "settings.json",
        "targets.json",
    }


def test_a_benchmark_that_failed_before_any_result_gives_way(settings: BenchmarkSettings, tmp_path: Path) -> None:
    """A forgotten address of a server is part of the settings: mending it must not need another place."""
    run(settings, tmp_path / "whole")
    (tmp_path / "out" / "cells").mkdir(parents=True)
    (tmp_path / "out" / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
    other = replace(settings, seeds=1)
    run(other, tmp_path / "out")
    assert read_manifest(tmp_path / "out")["settings"]["seeds"] == 1
    with pytest.raises(ResultsMismatch, match="holds results of other settings"):
        run(settings, tmp_path / "out")
