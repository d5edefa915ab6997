"""DialogueEnv: the agent's dialogue as a Gymnasium environment. Every other adapter is a coat around this one.

An episode here reads, word for word, what an episode of `autollmresearch.episode` reads: the first observation is the
whole prompt, every later one the outcome of the trial before; an action is the agent's answer, its own words or a mere
configuration. The reward is the environment's (`llmconfig_gym.env`): it depends on the optimum, so it is for the
trainer, never for the agent.

Importing this module registers the environment, so
`gymnasium.make("autollmresearch.adapters.dialogue_env:LLMDialogue-v0", experiment="micro/N25k-D1M")` makes one.
"""

from __future__ import annotations

import string
from typing import Any, SupportsFloat

import gymnasium
from gymnasium import spaces

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.dialogue import Style, conversation
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.action import MAX_TEXT
from llmconfig_gym.catalog import load_experiment, load_suite
from llmconfig_gym.env import Action, ConfigEnv
from llmconfig_gym.errors import EpisodeOver
from llmconfig_gym.tasks import describe

LONGEST = 4 * MAX_TEXT
"""Longest observation in characters that the observation space admits."""


class DialogueEnv(gymnasium.Env[str, Any]):
    """One episode of the dialogue on one experiment.

    Args:
        experiment: the target's id in the catalog, `suite/name` or `path/to/suite/name`.
        protocol: what is known of the cheaper experiments, `full` or `metered:N`.
        budget: trials per episode, at least 1.
        evidence: whether the analyst's evidence is shown, in the prompt and after every trial.

    Raises:
        UnknownName, SourceUnavailable, SuiteFormatError: the experiment cannot be loaded.
        InvalidProtocol: there is no such protocol.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012  # gymnasium declares it so

    def __init__(
        self,
        experiment: str,
        protocol: str = "metered:10",
        budget: int = 3,
        evidence: bool = False,
        render_mode: str | None = None,
    ) -> None:
        target = load_experiment(experiment)
        self.render_mode = render_mode
        self._env = ConfigEnv(target, budget)
        self._cheaper = load_suite(experiment.rpartition("/")[0]).cheaper(target.id)
        self._protocol = Protocol.parse(protocol)
        self._style = Style(evidence=evidence)
        self._problem: Problem | None = None
        self._turns: list[Proposal] = []  # what was read; what was said changes nothing that is read later
        self._text = ""
        words = "".join(describe(e) for e in (target, *self._cheaper))  # a user's own names may not be ASCII
        charset = frozenset(string.printable + words)
        self.observation_space = spaces.Text(LONGEST, min_length=0, charset=charset)
        self.action_space = self._env.action_space  # any text or mapping; a sample is a legal configuration

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; the observation is the prompt.

        Args:
            seed: draws the outcomes that `metered:N` shows; None draws other ones for each episode.
        """
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        _, info = self._env.reset(seed=seed)
        self._problem = self._protocol.problems(self._env.experiment, self._cheaper, self._env.budget, [seed])[0]
        self._turns = []
        self._text = self._next()
        return self._text, info

    def step(self, action: Action) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """One answer of the agent: what it reads next, reward, whether the budget is spent, False, and the outcome.

        Raises:
            EpisodeOver: before the first `reset`. After the last trial it does not raise: the outcome is
                `over_budget` and earns nothing.
        """
        if self._problem is None:
            raise EpisodeOver("step was called before reset; call reset first")
        read = self._text
        self._text, reward, over, truncated, info = self._env.step(action)
        if not over:  # nobody answers what is read after the last trial
            self._turns.append(Proposal("", prompt=read))
            self._text = self._next()
        return self._text, reward, over, truncated, info

    def render(self) -> str | None:
        """The last observation (`render_mode="ansi"`)."""
        return self._text if self.render_mode == "ansi" else None

    def _next(self) -> str:
        """What the agent reads before its next answer."""
        assert self._problem is not None
        state = State(self._problem, self._env.history, proposals=tuple(self._turns))
        return conversation(state, self._style)[-1]["content"]


gymnasium.register("LLMDialogue-v0", entry_point="autollmresearch.adapters.dialogue_env:DialogueEnv")
