"""Small synthetic suites: a moving optimum with holes, a mixture pool that is maximised, a space of mixed kinds."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.benchmark.runner import COLUMNS
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.experiment import LEVELS, Direction, Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Integer, Parameter, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

if TYPE_CHECKING:
    from selenium import webdriver

LR = tuple(float(f"{v:.2e}") for v in np.geomspace(1e-3, 3e-2, 7))
BATCH = (8, 16, 32, 64)
COMPONENTS = ("code", "books", "web")


def _pretraining(name: str, level: Level, n: float, batches: tuple[int, ...] = BATCH) -> Experiment:
    """A valley whose optimum moves with scale; a few cells were not measured, one run diverged, one blew up."""
    rng = np.random.default_rng(int(n))
    space = Space((Grid("lr", LR, log=True), Grid("batch_size", batches, log=True)))
    cells = [(lr, b) for lr in LR for b in batches]
    keep = np.sort(rng.choice(len(cells), size=len(cells) - 4, replace=False))
    pool = Pool.from_configs(space, [dict(zip(space.names, cells[k], strict=True)) for k in keep])
    lr, batch = (np.log(pool.columns[c].astype(float)) for c in space.names)
    scale = np.log10(n / 1e6)
    distance = ((lr - np.log(1.5e-2) + 0.5 * scale) / 0.8) ** 2 + ((batch - np.log(12) - 0.4 * scale) / 1.5) ** 2
    values = 3.5 - 0.2 * scale + 0.1 * distance + 0.004 * rng.standard_normal(len(pool))
    worst = np.argsort(values)[-2:]
    values[worst] = np.nan, 9.0 + rng.random()
    details = {"gradient_norm": rng.random(len(pool))}
    metric = Metric("loss", "minimize", details={"gradient_norm": "norm of the gradient"})
    fidelity = Fidelity({"parameters": n, "tokens": 20 * n}, 6 * n * 20 * n)
    return Experiment(
        f"toy/{name}",
        "toy",
        "pretraining",
        "dense",
        level,
        fidelity,
        metric,
        pool,
        values,
        details,
        noise=0.004,
        clip=1.2,
    )


def _mixture(name: str, level: Level, n: float) -> Experiment:
    """The same mixtures at each scale; accuracy, so more is better; its noise is not known."""
    space = Space((Simplex("weights", COMPONENTS),))
    weights = np.random.default_rng(5).dirichlet([1.0, 1.0, 1.0], size=14)
    best = np.array([0.2, 0.5, 0.3]) if n < 1e8 else np.array([0.3, 0.4, 0.3])
    values = 0.6 + 0.03 * np.log10(n) - np.square(weights - best).sum(axis=1)
    fidelity = Fidelity({"parameters": n, "data": "small" if n < 1e8 else "large"}, n)
    metric = Metric("accuracy", "maximize")
    pool = Pool(space, {"weights": weights})
    return Experiment(f"toy/{name}", "toy", "mixture", "mix", level, fidelity, metric, pool, values)


def _architecture(name: str, level: Level, n: float, layers: tuple[int, int]) -> Experiment:
    """Words, truth values, a range that moves with scale (relative) and a real number; drawn at random."""
    kinds: tuple[Parameter, ...] = (
        Categorical("attention", ("full", "local", "mixed")),
        Categorical("bias", (True, False)),
        Integer("layers", *layers, relative=True),
        Real("mlp_ratio", 1.0, 8.0, log=True),
    )
    space = Space(kinds)
    rng = np.random.default_rng(int(n) + 1)
    rows = 15
    attention = rng.choice(["full", "local", "mixed"], size=rows)
    bias, depth, ratio = rng.random(rows) < 0.5, rng.integers(*layers, size=rows), rng.uniform(1.0, 8.0, rows)
    pool = Pool(space, {"attention": attention, "bias": bias, "layers": depth, "mlp_ratio": ratio})
    position = (depth - layers[0]) / (layers[1] - layers[0])
    values = 20 + 5 * (attention == "full") + 2.0 * bias + 8 * (position - 0.6) ** 2 + np.log(ratio / 4) ** 2
    fidelity = Fidelity({"size": name}, n)
    metric = Metric("perplexity", "minimize")
    return Experiment(f"toy/{name}", "toy", "architecture", "shape", level, fidelity, metric, pool, values, noise=0.5)


def _experiments() -> list[Experiment]:
    scales = [*zip(LEVELS, (1e6, 1e7, 1e8), strict=True), ("high", 2e8)]
    return [
        *(_pretraining(f"dense-{n:.0e}".replace("+", ""), level, n) for level, n in scales),
        *(_mixture(f"mix-{level}", level, n) for level, n in zip(LEVELS, (1e6, 1e7, 1e8), strict=True)),
        *(
            _architecture(f"shape-{level}", level, n, layers)
            for level, n, layers in zip(LEVELS, (1e6, 1e7, 1e8), ((2, 6), (4, 12), (8, 24)), strict=True)
        ),
    ]


@pytest.fixture(scope="session")
def toy() -> Suite:
    """Three tasks at three levels, two of them pretraining targets."""
    return Suite.of("toy", Card("synthetic"), _experiments())


@pytest.fixture(scope="session")
def toy_path(toy: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same suite on disk, as `--suite` takes it."""
    path = tmp_path_factory.mktemp("suites") / "toy"
    toy.save(path)
    return path


@pytest.fixture(scope="session")
def small_path(toy: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite on disk with the two pretraining targets alone."""
    path = tmp_path_factory.mktemp("suites") / "toy"
    Suite.of("toy", Card("synthetic"), [toy.experiment(i) for i in toy.ids if "dense" in i]).save(path)
    return path


@pytest.fixture(scope="session")
def targets(toy: Suite) -> Mapping[str, Experiment]:
    """One target of each kind, by its task."""
    return {e.task: e for e in reversed(toy.split("high"))}


@pytest.fixture(scope="session")
def problem_of(toy: Suite) -> Callable[..., Problem]:
    """What a method may know about a target under a protocol: `problem_of(experiment, "full", budget, seed)`."""

    def make(target: Experiment, protocol: str = "full", budget: int = 5, seed: int = 0) -> Problem:
        return Protocol.parse(protocol).problems(target, toy.cheaper(target.id), budget, [seed])[0]

    return make


@pytest.fixture(scope="session")
def lonely() -> Callable[[Experiment, int], Problem]:
    """A problem of which nothing cheaper is known: `lonely(experiment, budget)`."""
    return lambda e, budget: Problem(e.task, e.fidelity, e.metric, e.pool, (), budget, e.clip)


@pytest.fixture(scope="session")
def line() -> Callable[..., Experiment]:
    """An experiment over `x` = 1 .. n with these values: `line(values, direction, clip=, noise=, cost=, level=)`."""

    def make(
        values: Sequence[float],
        direction: Literal["minimize", "maximize"] = "minimize",
        *,
        clip: float | None = None,
        noise: float = float("nan"),
        cost: float = 1.0,
        level: Level = "high",
    ) -> Experiment:
        space = Space((Grid("x", tuple(range(1, len(values) + 1))),))
        pool = Pool.from_configs(space, [{"x": x} for x in range(1, len(values) + 1)])
        fidelity = Fidelity({"parameters": cost}, cost)
        told: FloatArray = np.array(values, dtype=np.float64)
        metric = Metric("score", direction)
        id_ = f"lines/{level}-{cost:g}"
        return Experiment(id_, "lines", "other", "line", level, fidelity, metric, pool, told, noise=noise, clip=clip)

    return make


@pytest.fixture(scope="session")
def cut() -> Callable[[Experiment, int], Experiment]:
    """An experiment of which only the first rows were measured: `cut(experiment, rows)`."""

    def make(e: Experiment, rows: int) -> Experiment:
        pool = Pool(e.space, {name: column[:rows] for name, column in e.pool.columns.items()})
        details = {name: column[:rows] for name, column in e.details.items()}
        return replace(e, pool=pool, values=e.values[:rows], details=details)

    return make


@pytest.fixture(scope="session")
def mirrored() -> Callable[[Experiment], Experiment]:
    """The same experiment told the other way round: its negated metric, to be optimised in the other direction."""

    def make(e: Experiment) -> Experiment:
        direction: Direction = "minimize" if e.metric.direction == "maximize" else "maximize"
        return replace(e, values=-e.values, metric=Metric(f"negative {e.metric.name}", direction))

    return make


@dataclass(frozen=True)
class Scripted:
    """A policy that proposes what it was told to, whatever happens: the n-th proposal at the n-th trial."""

    proposals: tuple[Any, ...]

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [Proposal(self.proposals[len(state.trials)]) for state in states]


@pytest.fixture(scope="session")
def scripted() -> Callable[..., Policy]:
    """A policy with fixed proposals: `scripted(first, second, ...)`."""
    return lambda *proposals: Scripted(proposals)


@pytest.fixture(scope="session")
def assert_lawful() -> Callable[[str, Experiment, Problem], None]:
    """Plays two seeds twice and asserts what holds for every method: `assert_lawful(method, target, problem)`.

    The same seed gives the same episode; every proposal is a configuration of the pool; none is repeated before all of
    the pool was told.
    """

    def check(method: str, target: Experiment, problem: Problem) -> None:
        first, again = (run_episodes(make_policy(method), [target] * 2, [problem] * 2, [3, 4]) for _ in range(2))
        untried = min(problem.budget, len(problem.pool))
        for episode, same in zip(first, again, strict=True):
            turns = episode.turns
            assert [t.proposal for t in turns] == [t.proposal for t in same.turns]
            assert [t.outcome.kind for t in turns[:untried]] == ["measured"] * untried
            assert [t.outcome.kind for t in turns[untried:]] == ["duplicate"] * (problem.budget - untried)
            assert all(t.proposal.config == t.outcome.config for t in turns)

    return check


@pytest.fixture(scope="session")
def state_at() -> Callable[..., State]:
    """The state after these rows of a target's pool were told: `state_at(target, problem, rows, seed)`."""

    def make(target: Experiment, problem: Problem, rows: Sequence[int] = (), seed: int = 0) -> State:
        return State(problem, tuple(target.outcome(row) for row in rows), seed)

    return make


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., pd.DataFrame]:
    """A benchmark's rows with these simple regrets: `frame_of({method: [experiments, seeds, trials]}, column=value)`.

    The other regrets are the simple one times a factor; `suite`, `task`, `protocol` and any column can be set.
    """

    def make(regrets: Mapping[str, Any], **columns: object) -> pd.DataFrame:
        rows = []
        for method, cube in regrets.items():
            values = np.asarray(cube, dtype=np.float64)
            for (e, s, t), regret in np.ndenumerate(values):
                row = dict.fromkeys(COLUMNS, None) | {
                    "method": method,
                    "suite": "made",
                    "task": "other",
                    "experiment": f"made/e{e}",
                    "protocol": "full",
                    "seed": s,
                    "trial": t + 1,
                    "config": "{}",
                    "outcome": "measured",
                    "value": 1 + regret,
                    "best_value": 1 + regret,
                    "simple_regret": regret,
                    "simple_regret_unclipped": regret / 2,
                    "median_regret": regret * 2,
                    "excess_percent": regret * 100,
                    "cumulative_regret": values[e, s, : t + 1].sum(),
                    "within_noise": bool(regret < 0.1),
                    "seconds": 0.5,
                    "read_tokens": 0,
                    "written_tokens": 0,
                    "cost": 0.0,
                }
                rows.append({**row, **columns})
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"within_noise": "boolean"})

    return make


CHAT = (
    "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}<|end|>"
    "{% else %}<|agent|>{% generation %}{{ m.content }}<|end|>{% endgeneration %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|agent|>{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """Bytes with digits apart and a chat template; the pad token's id is the neighbour of the end token's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    digits, bytes_ = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|pad|>", "<|end|>", "<|user|>", "<|agent|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["<think></think>\n<config> learning rate batch size trials left"] * 4, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|agent|>"]})
    fast.chat_template = CHAT
    return fast


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Any) -> Any:
    """A causal language model of 60,000 random weights. A test that changes it copies it first."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=16_384,
        tie_word_embeddings=True,
        pad_token_id=tiny_tokenizer.pad_token_id,
        eos_token_id=tiny_tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=0.2,  # so that answers differ
    )
    model = LlamaForCausalLM(config).eval()
    model.model.embed_tokens.weight.data[tiny_tokenizer.eos_token_id] *= 3  # so that some answers end early
    return model


@pytest.fixture(scope="session")
def checkpoint(tiny_model: Any, tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tiny model, as `agent:PATH` takes it. A test that changes it copies it first."""
    from autollmresearch.dialogue import Style
    from autollmresearch.policies.causal_lm import AgentSettings

    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tiny_model.save_pretrained(path)
    tiny_tokenizer.save_pretrained(path)
    AgentSettings(Style(top=2), max_new_tokens=16, context=8000).save(path)
    return path


@pytest.fixture
def shipped(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny agent that scores and is shown the evidence, in place of the one that is shipped."""
    from autollmresearch.dialogue import Style
    from autollmresearch.policies.causal_lm import AgentSettings

    path = Path(shutil.copytree(checkpoint, tmp_path / "shipped"))
    AgentSettings(Style(top=2, evidence=True, trends=False), context=8000, score=True).save(path)
    monkeypatch.setattr("autollmresearch.policies.named.SHIPPED", path)
    return path


FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root it starts in no other way
    "--disable-gpu",
    "--disable-dev-shm-usage",  # in a container that memory may be small
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)


@pytest.fixture(scope="session")
def browser(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]
) -> Iterator["webdriver.Chrome"]:
    """Chromium without a window and with a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        missing("chromium is not installed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium') / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))
    try:
        yield driver
    finally:
        driver.quit()
