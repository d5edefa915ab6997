"""What column names usually mean in tables of LLM runs: the vocabulary behind the guess, and nothing else.

Names are compared in one spelling (`Eval/Loss`, `evalLoss` and `eval-loss` are all `eval_loss`) and without the
prefix that says where a tracker put them (`config.lr` is `lr`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from llmconfig_gym.experiment import Direction

Origin: TypeAlias = Literal["config", "summary", ""]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PREFIXES: tuple[tuple[str, Origin], ...] = (
    *(
        (f"{word}{mark}", "config")
        for word in ("config", "params", "hparams", "hyperparameters", "args")
        for mark in "./"
    ),
    *((f"{word}{mark}", "summary") for word in ("summary", "metrics", "metric", "results") for mark in "./"),
)
_OPTUNA_PREFIXES: tuple[tuple[str, Origin], ...] = (("params_", "config"), ("user_attrs_", ""), ("system_attrs_", ""))

SIZES = _words(
    "n params n_params num_params parameters n_parameters num_parameters model_params model_parameters model_size size "
    "non_embedding_params nonembedding_params n_non_embedding param_count total_params"
)
TOKENS = _words(
    "d tokens n_tokens num_tokens train_tokens training_tokens total_tokens tokens_seen tokens_trained n_train_tokens "
    "dataset_tokens data_tokens token_budget"
)
STEPS = _words(
    "steps n_steps num_steps max_steps train_steps training_steps total_steps num_train_steps iterations iters n_iters "
    "max_iters num_iterations updates"
)
OTHER_SCALES = _words(
    "epochs n_epochs num_epochs num_train_epochs max_epochs total_epochs dataset_size data_size n_samples num_samples "
    "train_samples n_examples num_examples data_fraction subset_fraction"
)
COSTS = {
    **dict.fromkeys(_words("flops total_flops train_flops training_flops compute compute_flops total_flos c"), "FLOPs"),
    **dict.fromkeys(_words("gpu_hours gpuhours gpu_hrs total_gpu_hours gpu_h"), "GPU hours"),
    **dict.fromkeys(_words("cost_usd usd price dollars"), "USD"),
    "cost": "cost",
}
MODELS = _words("model model_name base_model model_name_or_path")
ARCHITECTURE = _words(
    "width d_model hidden_size hidden_dim n_embd embed_dim embedding_dim depth layers n_layer n_layers num_layers "
    "num_hidden_layers heads n_head n_heads num_heads num_attention_heads head_dim kv_heads num_key_value_heads "
    "mlp_ratio d_ff ffn_dim intermediate_size"
)
_LOWERCASE_IS_ANOTHER = frozenset("ndc")  # `N`, `D`, `C` are scaling-law letters; `n`, `d`, `c` may be anything

_STATES = _words("state status run_state")
UNFINISHED = _words("running pending queued scheduled waiting pruned preempted preempting")
DIVERGED = frozenset({"diverged"})

_METADATA = _STATES | _words(
    "name run run_name run_id id uuid index row number experiment suite split level runtime duration sweep user "
    "username entity project created created_at updated started finished timestamp date datetime time host hostname "
    "url notes tags tag comment group job_type job_id commit git_commit git_hash version seed random_seed "
    "replicate replicates repeat spread trial trial_id device gpu gpus gpu_type gpu_count "
    "world_size output_dir log_dir checkpoint path study reasoning failure expected expected_sd"
)
_METADATA_ENDINGS = ("_id", "_seed", "_dir", "_path", "_url", "_at", "_timestamp", "_name", "_file")

_HELD_OUT = _words("val valid validation eval evaluation test heldout dev")
_SMALLER = _words("loss ppl perplexity nll bpb bpc xent error err wer cer mse mae rmse")
_LARGER = _words(
    "acc accuracy score reward rewards return returns f1 bleu rouge mmlu pass win winrate elo auc auroc recall"
)
_LOSSES = _words("loss nll bpb bpc xent")
_REWARDS = _words("reward rewards return returns win winrate elo critic")
_OBJECTIVES = _words("metric value objective target y")
_AVERAGED = _words("smooth smoothed ema final avg average mean")
_SETTING_OF_METRIC = _words(
    "coef coeff coefficient weight target limit penalty scale type fn function beta clip schedule threshold name "
    "smoothing"
)
_OUTCOMES = _words("kl entropy latency throughput mfu memory mem runtime time seconds secs duration hours energy tps")
_OUTCOME_NAMES = _words("grad_norm gradient_norm response_length tokens_per_second tokens_per_sec")

_KNOWN_PARAMETERS = _words(
    "lr bs batch wd decay warmup dropout momentum beta1 beta2 beta betas eps epsilon optimizer scheduler schedule clip "
    "temperature coef coeff coefficient rank alpha rollouts rollout init"
)
_KNOWN_PARAMETER_NAMES = _words("learning_rate group_size max_grad_norm top_p top_k")
_LOG = _words("lr bs batch wd eps epsilon")
_LOG_NAMES = ("learning_rate", "weight_decay", "kl_coef", "kl_coeff")
_RL = _words("kl rollout rollouts grpo ppo reward")


def spelling(name: str) -> str:
    """A name in the one spelling that names are compared in."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")


def short_names(columns: Sequence[str]) -> dict[str, tuple[str, Origin]]:
    """For every column its name without the tracker's prefix, and which side the prefix says it is on.

    Optuna's `params_` and `user_attrs_` count as prefixes only in a table that has Optuna's own columns.
    """
    prefixes = _PREFIXES + (_OPTUNA_PREFIXES if {"number", "state"} <= set(columns) else ())
    result: dict[str, tuple[str, Origin]] = {}
    for column in columns:
        hits = [(column[len(p) :], origin) for p, origin in prefixes if column.startswith(p) and len(column) > len(p)]
        result[column] = hits[0] if hits else (column, "")
    return result


def _is(name: str, vocabulary: frozenset[str] | dict[str, str]) -> bool:
    return spelling(name) in vocabulary and name not in _LOWERCASE_IS_ANOTHER


def is_size(name: str) -> bool:
    """Whether a column of this name counts a model's parameters."""
    return _is(name, SIZES)


def is_tokens(name: str) -> bool:
    """Whether a column of this name counts training tokens."""
    return _is(name, TOKENS)


def is_steps(name: str) -> bool:
    """Whether a column of this name counts optimiser steps."""
    return _is(name, STEPS)


def is_scale(name: str) -> bool:
    """Whether a column of this name says at what scale a run was made."""
    return any(_is(name, vocabulary) for vocabulary in (SIZES, TOKENS, STEPS, OTHER_SCALES))


def cost_unit(name: str) -> str | None:
    """The unit of a column whose name says that it is a run's cost; None if its name does not."""
    return COSTS.get(spelling(name)) if _is(name, COSTS) else None


def is_model(name: str) -> bool:
    """Whether a column of this name holds names of models."""
    return spelling(name) in MODELS


def is_architecture(name: str) -> bool:
    """Whether a column of this name describes a model's shape."""
    return spelling(name) in ARCHITECTURE


def is_state(name: str) -> bool:
    """Whether a column of this name says whether a run is over."""
    return spelling(name) in _STATES


def is_metadata(name: str) -> bool:
    """Whether a column of this name is about the bookkeeping of runs, seeds included: never a setting."""
    plain = spelling(name)
    numbered = re.fullmatch(r"column_[0-9]+|unnamed_[0-9]+", plain)
    if plain in MODELS or plain.startswith("metric_"):
        return False
    return (
        name.startswith("_")
        or plain in _METADATA
        or plain.endswith(_METADATA_ENDINGS)
        or plain.startswith(("datetime_", "git_"))
        or numbered is not None
    )


def direction_of(name: str) -> Direction | None:
    """Which way is better, from the last word of the name that tells; None if none does."""
    for word in reversed(spelling(name).split("_")):
        if word in _SMALLER or word.startswith(("loss", "perplexity")) or word.endswith("loss"):
            return "minimize"
        if word in _LARGER:
            return "maximize"
    return None


def is_loss(name: str) -> bool:
    """Whether a metric of this name is a loss in nats or bits: what the 1.25 x best clip is made for."""
    return any(word in _LOSSES or word.endswith("loss") for word in spelling(name).split("_"))


def metric_rank(name: str) -> int | None:
    """How likely a column of this name is the metric, 0 most; None if it is none.

    Held-out losses come first, then held-out scores, rewards, plain losses, plain scores, and training values last.
    """
    words = set(spelling(name).split("_"))
    direction = direction_of(name)
    if direction is None or words & _SETTING_OF_METRIC:
        return None
    if words & {"train", "training"}:
        return 5
    if words & _HELD_OUT or any(w.startswith(("val", "eval", "test")) and w.endswith("loss") for w in words):
        return 0 if direction == "minimize" else 1
    if words & _REWARDS:
        return 2
    return 3 if direction == "minimize" else 4


def is_plain_objective(name: str) -> bool:
    """Whether a column of this name is the metric without saying what it measures."""
    return spelling(name) in _OBJECTIVES


def is_averaged(name: str) -> bool:
    """Whether a metric of this name is smoothed or averaged: of two, the less noisy one."""
    return bool(set(spelling(name).split("_")) & _AVERAGED)


def is_outcome(name: str) -> bool:
    """Whether a column of this name is measured in a run rather than set before it."""
    plain = spelling(name)
    words = set(plain.split("_"))
    if metric_rank(name) is not None or plain in _OUTCOME_NAMES or words & {"metric", "metrics"}:
        return True
    return bool(words & _OUTCOMES) and not words & (_SETTING_OF_METRIC | {"max", "min", "init", "loss"})


def is_known_parameter(name: str) -> bool:
    """Whether a column of this name is a setting that people tune."""
    plain = spelling(name)
    return plain in _KNOWN_PARAMETER_NAMES or bool(set(plain.split("_")) & _KNOWN_PARAMETERS)


def is_logarithmic(name: str) -> bool:
    """Whether a setting of this name is tuned by factors rather than by differences."""
    plain = spelling(name)
    return bool(set(plain.split("_")) & _LOG) or any(n in plain for n in _LOG_NAMES)


def task_of(parameters: Sequence[str], metric: str, *, mixture: bool) -> tuple[str, str]:
    """The task that these parameters and this metric suggest, and why."""
    if mixture:
        return "mixture", "there are mixture weights"
    words = {word for name in parameters for word in spelling(name).split("_")}
    if words & _RL or set(spelling(metric).split("_")) & {"reward", "rewards", "critic"}:
        return "grpo", "its settings or its metric are those of reinforcement learning"
    shape = [p for p in parameters if is_architecture(p)]
    if len(shape) >= 2 and 2 * len(shape) >= len(parameters):
        return "architecture", f"most settings describe the model's shape ({', '.join(shape)})"
    return "pretraining", "no mixture, no reinforcement learning, no architecture settings"
