"""The guess on tables as people have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.guess import guess_roles
from llmconfig_gym.importing.read import read_table
from llmconfig_gym.importing.roles import Guess, Overrides, Roles

WriteCsv = Callable[..., Path]


def roles_of(path: Path, overrides: Overrides | None = None) -> Roles:
    return guess_roles(read_table(path), overrides).roles


def why(guess: Guess, column: str) -> str:
    return next(r.why for r in guess.reasons if r.column == column)


def test_a_sweep(sweep: Path) -> None:
    guess = guess_roles(read_table(sweep))
    roles = guess.roles
    assert roles.parameters == roles.log == ("lr", "batch_size")
    assert roles.fidelity == ("N", "tokens")
    assert (roles.metric, roles.direction, roles.task) == ("val_loss", "minimize", "pretraining")
    assert roles.details == ("train_loss",)
    assert roles.ignored == ("run", "seed", "optimizer")
    assert roles.cost.text() == "6 x N x tokens, in FLOPs"
    assert [r.column for r in guess.reasons] == read_table(sweep).columns
    assert all(r.why for r in guess.reasons)
    assert why(guess, "optimizer") == "it never varies: always adamw"


def test_a_wandb_export_of_printed_dictionaries(wandb: Path) -> None:
    roles = roles_of(wandb)
    assert roles.parameters == ("config.lr", "config.optimizer")
    assert roles.fidelity == ("config.model_size",)
    assert roles.metric == "summary.eval/loss"
    assert roles.state == "State"
    assert set(roles.ignored) >= {"name", "summary._runtime", "summary._timestamp", "config.betas", "summary.lr"}


def test_a_flat_wandb_export(wandb_flat: Path) -> None:
    roles = roles_of(wandb_flat)
    assert roles.parameters == ("config.lr", "config.batch_size")
    assert roles.fidelity == ("config.n_params",)
    assert roles.details == ("summary.train_loss", "summary.grad_norm")
    assert set(roles.ignored) >= {"Name", "State", "ID", "config.output_dir", "_runtime", "_timestamp"}


def test_nested_jsonl_of_grpo_runs(grpo: Path) -> None:
    roles = roles_of(grpo)
    assert roles.parameters == ("config.lr", "config.kl_coef", "config.normalize")
    assert roles.log == ("config.lr", "config.kl_coef")
    assert roles.fidelity == ("config.model", "config.steps")
    assert (roles.metric, roles.direction, roles.task) == ("summary.critic/score/mean", "maximize", "grpo")
    assert roles.details == ("summary.kl",)


def test_architectures_in_parquet(shapes: Path) -> None:
    roles = roles_of(shapes)
    assert roles.parameters == ("d_model", "n_layers", "mlp_ratio")
    assert roles.log == ()
    assert (roles.metric, roles.task) == ("perplexity", "architecture")


def test_a_mixture(mixture: Path) -> None:
    roles = roles_of(mixture)
    assert roles.parameters == ()
    assert roles.simplex == {"mix": ("mix_web", "mix_code", "mix_math")}
    assert (roles.metric, roles.task) == ("loss", "mixture")


def test_an_optuna_export(write_csv: WriteCsv) -> None:
    header = ["number", "value", "datetime_start", "params_lr", "params_opt", "user_attrs_tokens", "state"]
    rows = [[i, 2 + i / 10, "2026-01-01", 10.0**-i, "ab"[i % 2], 1e9, "COMPLETE"] for i in range(4)]
    path = write_csv(header, rows)
    with pytest.raises(
        ImportProblem, match=r"whether a larger value is better cannot be told.*--minimize or --maximize"
    ):
        roles_of(path)
    roles = roles_of(path, Overrides(direction="minimize"))
    assert roles.parameters == ("params_lr", "params_opt")
    assert roles.fidelity == ("user_attrs_tokens",)


def test_flags_override_the_guess(sweep: Path) -> None:
    said = Overrides(
        parameters=("lr",), fidelity=("N",), metric="train_loss", details=(), linear=("lr",), task="grpo", cost="tokens"
    )
    guess = guess_roles(read_table(sweep), said)
    roles = guess.roles
    assert (roles.parameters, roles.fidelity, roles.metric) == (("lr",), ("N",), "train_loss")
    assert (roles.details, roles.log, roles.task) == ((), (), "grpo")
    assert roles.cost.text() == "tokens, in tokens"
    assert "--parameters does not name it; beware, it varies" in why(guess, "batch_size")
    assert "--details does not name it" in why(guess, "val_loss")
    assert why(guess, "lr").startswith("you named it")


def test_no_fidelity_at_all(sweep: Path) -> None:
    roles = roles_of(sweep, Overrides(fidelity=(), parameters=("lr", "N")))
    assert roles.fidelity == ()
    assert roles.cost.rule == "one"


def test_numbers_can_be_choices(sweep: Path) -> None:
    roles = roles_of(sweep, Overrides(categorical=("batch_size",)))
    assert roles.log == ("lr",)
    assert roles.categorical == ("batch_size",)


def test_the_smoothed_of_two_losses(write_csv: WriteCsv) -> None:
    path = write_csv(["lr", "loss", "smooth loss"], [[0.1, 1, 1.5], [0.2, 2, 2.5]])
    assert roles_of(path).metric == "smooth loss"


def test_a_setting_is_never_the_metric(write_csv: WriteCsv) -> None:
    header = ["config.val_loss_cutoff", "config.lr", "summary.loss"]
    roles = roles_of(write_csv(header, [[9, 0.1, 1], [8, 0.2, 2]]))
    assert roles.metric == "summary.loss"
    assert roles.parameters == ("config.val_loss_cutoff", "config.lr")


def test_columns_that_are_no_parameters(write_csv: WriteCsv) -> None:
    rows = [
        [size, size * 2, lr, lr / 10, batch, 2048 * batch, 6400 // batch, f"text {size}{lr}{batch}", None, lr + batch]
        for size in (1, 2)
        for lr in (0.1, 0.2, 0.3)
        for batch in (1, 2, 4)
    ]
    rows[0][8] = 1
    rows[1][8] = 2
    header = ["N", "layers", "lr", "min_lr", "batch", "batch_tokens", "iters", "remark", "rare", "loss"]
    guess = guess_roles(read_table(write_csv(header, rows)))
    assert guess.roles.parameters == ("lr", "batch")
    assert "follows from the fidelity" in why(guess, "layers")
    assert why(guess, "min_lr") == "it is always 0.1 x lr"
    assert why(guess, "batch_tokens") == "it is always 2048 x batch"
    assert "inversely proportional to the batch size" in why(guess, "iters")
    assert "free text or a label" in why(guess, "remark")
    assert "missing in 16 of 18 rows" in why(guess, "rare")


def test_log_needs_a_wide_span_or_a_known_name(write_csv: WriteCsv) -> None:
    rows = [[a, b, c, d, i] for i, (a, b, c, d) in enumerate([(1, 1, 0, 0.1), (2, 4, 1, 0.2), (7.9, 8, 100, 0.3)])]
    path = write_csv(["narrow", "wide", "zero", "weight_decay", "loss"], rows)
    assert roles_of(path).log == ("wide", "weight_decay")
    assert roles_of(path, Overrides(log=("narrow",), linear=("wide",))).log == ("narrow", "weight_decay")


@pytest.mark.parametrize(
    ("header", "rows", "said", "says"),
    [
        (["a", "b"], [["x", "y"]], Overrides(), "no column holds numbers that could be the metric"),
        (
            ["a", "b"],
            [[1, 2], [2, 3]],
            Overrides(),
            "no column is named like one .*name it with --metric .numbers: a, b",
        ),
        (["lr", "val_loss"], [[1, ""], [2, "nan"]], Overrides(), "val_loss is named like a metric but has no value"),
        (["lr", "val_loss"], [[1, "inf"], [2, "nan"]], Overrides(), "the metric val_loss has no finite value"),
        (["lr", "foo"], [[1, 2], [2, 3]], Overrides(metric="foo"), "whether a larger foo is better"),
        (["lr", "loss"], [[1, 2], [1, 3]], Overrides(), "nothing to choose; name the settings with --parameters"),
        (
            ["lr", "x", "loss"],
            [[1, 2, 3], [2, 2, 3]],
            Overrides(parameters=("lr", "x")),
            "--parameters x: it never varies",
        ),
        (["lr", "x", "loss"], [[1, "", 3], [2, "", 3]], Overrides(parameters=("x",)), "never varies .no value at all"),
        (
            ["lr", "x", "loss"],
            [[1, 2, 3], [2, 2, 3]],
            Overrides(log=("x",)),
            "--log x: it is no numeric setting here but ignored",
        ),
        (["a", "b", "loss"], [[50, 50, 1], [40, 60, 2]], Overrides(simplex={"w": ("a", "b")}), "median sum is 100"),
        (["lr", "scale", "loss"], [[1, "s", 3], [2, "l", 3]], Overrides(fidelity=("scale",)), "holds words"),
        (
            ["lr", "loss"],
            [[1, 2]],
            Overrides(ignore=("lrr",)),
            "--ignore: no column is called 'lrr'; did you mean 'lr'",
        ),
        (["lr", "loss"], [[1, 2]], Overrides(categorical=("lrr",)), "--categorical: no column is called 'lrr'"),
    ],
)
def test_problems_say_what_to_do(
    write_csv: WriteCsv, header: list[str], rows: list[list[object]], said: Overrides, says: str
) -> None:
    with pytest.raises(ImportProblem, match=says) as caught:
        roles_of(write_csv(header, rows), said)
    assert "\n" not in str(caught.value)
