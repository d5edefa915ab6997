"""One episode, and how it is played directly and through each adapter.

An adapter's player sees only what the other side's interface gives it: the texts, the rewards and the outcomes.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from autollmresearch.adapters.trl import ASK
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.dialogue import Style, conversation, reasoning
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.policy import Proposal, State
from llmconfig_gym.action import read_action
from llmconfig_gym.experiment import Outcome

REGISTRY = Path(__file__).parents[3] / "integrations" / "optunahub" / "package"
APART = os.environ.get("AUTOLLMRESEARCH_APART", "")
"""The adapter whose library has an environment of its own (`.ci/adapters`); empty in the project's environment."""

collect_ignore = [f"test_{name}.py" for name in ("openenv", "verifiers") if name != APART]
if APART:
    collect_ignore += [f"test_{name}.py" for name in ("gymnasium", "trl", "skyrl", "optunahub")]


@dataclass(frozen=True)
class Episode:
    """Which episode, and what the agent answers: something measured, nothing, something snapped, and a repetition."""

    experiment: str = "micro/N25k-D1M"
    seed: int = 7
    protocol: str = "metered:10"
    budget: int = 4
    evidence: bool = True
    answers: tuple[str, ...] = (
        '<think>The best rate falls with size — so less.</think>\n<config>{"lr": 0.0078, "batch_size": 4}</config>',
        "I would take a learning rate of 3e-3.",
        '<think>Larger batch, larger rate?</think>\n<config>{"lr": 0.02, "batch_size": 8}</config>',
        '<think></think>\n<config>{"batch_size": 4, "lr": 7.81e-3}</config>',
    )

    kinds: tuple[str, ...] = ("measured", "invalid", "snapped", "duplicate")

    @property
    def options(self) -> dict[str, Any]:
        """How adapters are told."""
        return {"protocol": self.protocol, "budget": self.budget, "evidence": self.evidence}

    def seen(self, read: Sequence[str], outcomes: Sequence[Mapping[str, Any]], rewards: Sequence[float]) -> Trajectory:
        """The trajectory, from what was read before each answer, and what came of it."""
        assert len(read) == len(outcomes) == len(rewards) == self.budget
        proposals = [Proposal(a, reasoning(a), prompt=r) for a, r in zip(self.answers, read, strict=True)]
        turns = (Turn(p, Outcome(**o), r) for p, o, r in zip(proposals, outcomes, rewards, strict=True))
        return Trajectory(self.experiment, self.budget, self.seed, tuple(turns))


Play: TypeAlias = Callable[[Episode, pytest.FixtureRequest], Trajectory]


def through_gymnasium(e: Episode, _: pytest.FixtureRequest) -> Trajectory:
    import gymnasium

    name = "autollmresearch.adapters.dialogue_env:LLMDialogue-v0"
    env = gymnasium.make(name, experiment=e.experiment, **e.options)
    read, rewards, outcomes = [env.reset(seed=e.seed)[0]], [], []
    for answer in e.answers:
        text, reward, over, _, info = env.step(answer)
        read.append(text)
        rewards.append(float(reward))
        outcomes.append(info["outcome"])
    assert over
    return e.seen(read[:-1], outcomes, rewards)


def through_trl(e: Episode, request: pytest.FixtureRequest) -> Trajectory:
    """A step of TRL's own trainer; only what the model samples is scripted."""
    played: list[Any] = []
    train = request.getfixturevalue("train_with_trl")
    train(
        e, lambda completions, prompts, environments, **_: played.append((prompts[0], completions[0], environments[0]))
    )
    prompt, completion, environment = played[0]
    assert [m["role"] for m in completion] == ["assistant", "tool"] * e.budget + ["assistant"]
    assert [m["tool_calls"][0]["function"]["arguments"]["text"] for m in completion[:-1:2]] == list(e.answers)
    read = [prompt[-1]["content"].removeprefix(ASK), *(m["content"] for m in completion[1::2])]
    episode = environment._env._env  # TRL's tools return text alone
    rewards = [episode.reward(outcome) for outcome in episode.history]
    assert environment.get_reward() == sum(rewards)
    return e.seen(read[:-1], [o.to_dict() for o in episode.history], rewards)


def through_skyrl(e: Episode, _: pytest.FixtureRequest) -> Trajectory:
    import skyrl_gym

    from autollmresearch.adapters.skyrl import ENV_ID

    extras = {"experiment": e.experiment, "seed": e.seed, "max_turns": 9, **e.options}
    env = skyrl_gym.make(ENV_ID, env_config={}, extras=extras)
    messages, _ = env.init([])
    read, rewards, outcomes = [], [], []
    for answer in e.answers:
        read.append(messages[-1]["content"])
        out = env.step(answer)
        messages = out["observations"]
        rewards.append(out["reward"])
        outcomes.append(out["metadata"]["outcome"])
    assert out["done"]
    assert messages == []
    return e.seen(read, outcomes, rewards)


def through_optunahub(e: Episode, _: pytest.FixtureRequest) -> Trajectory:
    """A study on the benchmark problem; what a language model would read of it is made from the study alone."""
    import optuna
    import optunahub

    problem = optunahub.load_local_module("benchmarks/llmconfig_gym", registry_root=str(REGISTRY)).Problem(e.experiment)
    space = problem.experiment.space
    study = optuna.create_study(directions=problem.directions)
    for answer in e.answers:
        study.enqueue_trial(space.optuna_params(read_action(answer, space)))
    study.optimize(problem, n_trials=e.budget)
    outcomes = [Outcome(**trial.user_attrs["outcome"]) for trial in study.trials]
    rewards = [(1 - float(problem.experiment.regret(trial.value))) / e.budget for trial in study.trials]
    asked = Protocol.parse(e.protocol).problems(problem.experiment, problem.cheaper, e.budget, [e.seed])[0]
    said = tuple(Proposal(answer) for answer in e.answers)
    states = [State(asked, tuple(outcomes[:turn]), proposals=said[:turn]) for turn in range(e.budget)]
    read = [conversation(state, Style(evidence=e.evidence))[-1]["content"] for state in states]
    return e.seen(read, [o.to_dict() for o in outcomes], rewards)


def through_openenv(e: Episode, request: pytest.FixtureRequest) -> Trajectory:
    """A client of a server that runs in a process of its own."""
    from llm_dialogue import Answer, DialogueClient

    with DialogueClient(base_url=request.getfixturevalue("openenv_url")).sync() as client:
        result = client.reset(seed=e.seed, experiment=e.experiment, **e.options)
        read, rewards, outcomes = [], [], []
        for answer in e.answers:
            read.append(result.observation.text)
            result = client.step(Answer(text=answer))
            rewards.append(result.reward)
            outcomes.append(result.observation.outcome)
        assert result.done
        assert client.state().step_count == e.budget
    return e.seen(read, outcomes, rewards)


def through_verifiers(e: Episode, request: pytest.FixtureRequest) -> Trajectory:
    """An episode as vf-eval runs it; what is read is what the model's server was sent."""
    import asyncio

    import verifiers.v1 as vf
    from llm_dialogue_v1 import DialogueRun
    from verifiers.v1.clients import ModelContext
    from verifiers.v1.configs.client import EvalClientConfig

    url, asked = request.getfixturevalue("model_server")(e.answers)
    agent = {"harness": {"id": request.getfixturevalue("harness_in_process")}}
    taskset = {"id": "llm-dialogue-v1", "seeds": e.seed + 1, **e.options}
    env = DialogueRun(vf.env_config_type("llm-dialogue-v1")(taskset=taskset, agent=agent))
    task = next(t for t in env.taskset if (t.data.experiment, t.data.seed) == (e.experiment, e.seed))

    async def play() -> Any:
        async with env.serving():
            return await env.run_episode(task, ModelContext("scripted", EvalClientConfig(base_url=url)))

    played = asyncio.run(play())
    assert played.ok, played.errors
    (trace,) = played.traces
    assert [len(messages) for messages in asked] == [1, 3, 5, 7]
    assert [m["content"] for m in asked[-1][1::2]] == list(e.answers[:-1])
    turns = trace.info["turns"]
    rewards = [turn["reward"] for turn in turns]
    assert trace.reward == sum(rewards)
    return e.seen([m[-1]["content"] for m in asked], [turn["outcome"] for turn in turns], rewards)


OPTUNA = Episode(  # a study knows no words: only what is in the table can be asked
    budget=2,
    answers=(
        '<think></think>\n<config>{"lr": 7.81e-3, "batch_size": 4}</config>',
        '<think>Up.</think>\n<config>{"lr": 0.0156, "batch_size": 8}</config>',
    ),
    kinds=("measured", "measured"),
)
EPISODES = {
    "trl": Episode(evidence=False),  # a step of training on so many bytes takes long
    "verifiers": Episode(evidence=False),  # its taskset makes the prompts of all episodes up to this one
    "optunahub": OPTUNA,
}
PLAYERS: dict[str, Play] = {
    "optunahub": through_optunahub,
    "openenv": through_openenv,
    "verifiers": through_verifiers,
    "gymnasium": through_gymnasium,
    "trl": through_trl,
    "skyrl": through_skyrl,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "play" in metafunc.fixturenames:
        names = [n for n in PLAYERS if (n == APART if APART else n not in ("openenv", "verifiers"))]
        metafunc.parametrize(("play", "episode"), [(PLAYERS[n], EPISODES.get(n, Episode())) for n in names], ids=names)


@pytest.fixture
def train_with_trl(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Episode, Callable[..., None]], None]:
    """One step of TRL's `GRPOTrainer` in which the model gives an episode's answers, each by calling the tool."""
    import copy
    from functools import partial

    import trl
    from datasets import Dataset

    from autollmresearch.adapters.trl import DialogueTools

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "eos_token": "<|im_end|>"}
    )
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text("utf-8")

    def train(e: Episode, watch: Callable[..., None]) -> None:
        class Scripted(trl.GRPOTrainer):  # type: ignore[misc, name-defined]  # trl has no types
            turn = 0

            def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[Any, None]:
                said = "Done." if self.turn == e.budget else call(e.answers[self.turn])
                self.turn += 1
                return [tokenizer(f"{said}<|im_end|>")["input_ids"] for _ in prompt_ids], None

        def call(answer: str) -> str:
            said = {"name": "answer", "arguments": {"text": answer}}
            return f"<tool_call>\n{json.dumps(said)}\n</tool_call>"

        def reward(**seen: Any) -> list[float]:
            watch(**seen)
            return [0.0] * len(seen["prompts"])

        row = {"prompt": [{"role": "user", "content": ASK}], "experiment": e.experiment, "seed": e.seed}
        model = copy.deepcopy(tiny_model)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        args = trl.GRPOConfig(
            str(tmp_path), per_device_train_batch_size=2, num_generations=2, max_completion_length=8000, max_steps=1,
            use_cpu=True, bf16=False, activation_checkpointing=False, report_to="none", disable_tqdm=True,
            logging_strategy="no", save_strategy="no",
        )  # fmt: skip
        Scripted(
            model,
            reward,
            args,
            train_dataset=Dataset.from_list([row]),
            processing_class=tokenizer,
            environment_factory=partial(DialogueTools, **e.options),
        ).train()

    return train


@pytest.fixture(scope="session")
def openenv_url() -> Iterator[str]:
    """A server of the OpenEnv package, until the tests are over."""
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "llm_dialogue.server.app", "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        while server.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/health", timeout=5).is_success:
                    break
            time.sleep(0.2)
        assert server.poll() is None, "the server ended before it answered"
        yield url
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def model_server() -> Iterator[Callable[[Sequence[str]], tuple[str, list[Any]]]]:
    """A chat server that gives these answers in turn: its URL, and the messages of each request."""
    servers = []

    def serve(answers: Sequence[str]) -> tuple[str, list[Any]]:
        asked: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"])
                message = {"role": "assistant", "content": answers[len(asked) - 1]}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
                head = {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted"}
                body = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/v1", asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def harness_in_process(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a verifiers harness that chats from this process; `null` would fetch its program's packages."""
    import httpx
    import verifiers.v1 as vf
    from verifiers.v1.dialects.chat import message_to_wire
    from verifiers.v1.runtimes import ProgramResult

    class InProcess(vf.Harness[vf.HarnessConfig]):
        SUPPORTS_RESUME, EXECUTES_CODE, NEEDS_CONTAINER = True, False, False

        async def launch(
            self, ctx: Any, trace: Any, runtime: Any, endpoint: str, secret: str, mcp_urls: Any, data: Any
        ) -> Any:
            read = [vf.UserMessage(content=data.prompt)] if isinstance(data.prompt, str) else data.prompt
            body = {"model": ctx.model, "messages": [message_to_wire(m) for m in read]}
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as http:
                (await http.post(f"{endpoint}/chat/completions", json=body)).raise_for_status()
            return ProgramResult(0, "", "")

    module = ModuleType("harness_in_process")
    vars(module).update(InProcess=InProcess, __all__=["InProcess"])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


@pytest.fixture
def shown() -> Callable[[str], str]:
    """The code of a section of docs/adapters.md; blocks that run apart say `py`, so that test_docs.py leaves them."""
    page = (REGISTRY.parents[2] / "docs" / "adapters.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    return lambda name: "\n".join(re.findall(r"```py\n(.*?)```", sections[name], re.DOTALL))
