"""What column names mean."""

from __future__ import annotations

import pytest

from llmconfig_gym.importing import names
from llmconfig_gym.importing.names import (
    direction_of,
    is_metadata,
    is_outcome,
    metric_rank,
    short_names,
    spelling,
    task_of,
)


@pytest.mark.parametrize("name", ["Eval/Loss", "evalLoss", "eval-loss", "eval loss", "eval.loss"])
def test_one_spelling(name: str) -> None:
    assert spelling(name) == "eval_loss"


@pytest.mark.parametrize(
    "name", ["val_loss", "loss", "eval/loss", "perplexity", "ppl", "bpb", "test_error", "loss_avg", "valloss"]
)
def test_metrics_to_minimise(name: str) -> None:
    assert direction_of(name) == "minimize"
    assert metric_rank(name) is not None


@pytest.mark.parametrize(
    "name", ["accuracy", "val/acc", "score", "reward", "critic/score/mean", "pass@1", "f1", "mmlu"]
)
def test_metrics_to_maximise(name: str) -> None:
    assert direction_of(name) == "maximize"
    assert metric_rank(name) is not None


@pytest.mark.parametrize("name", ["lr", "loss_type", "reward_scale", "z_loss_weight", "score_threshold", "foo"])
def test_settings_are_no_metrics(name: str) -> None:
    assert metric_rank(name) is None


def test_held_out_comes_before_plain_before_training() -> None:
    ordered = ["eval/loss", "val_acc", "reward", "loss", "score", "train_loss"]
    ranks = [metric_rank(n) for n in ordered]
    assert ranks == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "name",
    ["Name", "State", "ID", "_runtime", "_step", "seed", "data_seed", "output_dir", "column 1", "run_id", "Unnamed: 0"],
)
def test_bookkeeping(name: str) -> None:
    assert is_metadata(name)


@pytest.mark.parametrize("name", ["lr", "model_name", "group_size", "metric_avg_id", "val_loss", "tokens"])
def test_not_bookkeeping(name: str) -> None:
    assert not is_metadata(name)


@pytest.mark.parametrize("name", ["kl", "grad_norm", "latency_ms", "train_time", "mfu", "tokens_per_sec", "metric_x"])
def test_measured(name: str) -> None:
    assert is_outcome(name)


@pytest.mark.parametrize("name", ["kl_coef", "target_kl", "max_grad_norm", "entropy_coeff", "max_memory", "batch_size"])
def test_set_before_the_run(name: str) -> None:
    assert not is_outcome(name)


def test_scaling_letters_are_capitals() -> None:
    assert names.is_size("N")
    assert names.is_tokens("D")
    assert names.cost_unit("C") == "FLOPs"
    assert not names.is_scale("n")
    assert not names.is_scale("d")
    assert names.cost_unit("c") is None


@pytest.mark.parametrize("name", ["warmup_steps", "max_tokens", "batch_tokens", "lr", "eval_steps"])
def test_settings_that_sound_like_a_scale(name: str) -> None:
    assert not names.is_scale(name)


def test_prefixes_are_taken_off() -> None:
    columns = ["config.lr", "summary/val_loss", "lr", "params_lr", "config."]
    assert short_names(columns) == {
        "config.lr": ("lr", "config"),
        "summary/val_loss": ("val_loss", "summary"),
        "lr": ("lr", ""),
        "params_lr": ("params_lr", ""),
        "config.": ("config.", ""),
    }


def test_optuna_prefixes_need_optuna_columns() -> None:
    shorts = short_names(["number", "value", "params_lr", "user_attrs_tokens", "state"])
    assert shorts["params_lr"] == ("lr", "config")
    assert shorts["user_attrs_tokens"] == ("tokens", "")


@pytest.mark.parametrize(
    ("parameters", "metric", "mixture", "task"),
    [
        (["lr", "batch_size"], "val_loss", False, "pretraining"),
        (["lr", "kl_coef"], "accuracy", False, "grpo"),
        (["lr"], "critic/score/mean", False, "grpo"),
        (["d_model", "n_layers", "bias"], "perplexity", False, "architecture"),
        (["weights"], "loss", True, "mixture"),
    ],
)
def test_tasks(parameters: list[str], metric: str, mixture: bool, task: str) -> None:
    assert task_of(parameters, metric, mixture=mixture)[0] == task
