"""A causal language model as a policy: it reads the dialogue, thinks in words, and writes one configuration.

Any Hugging Face causal language model with a chat template will do, by path or hub id, with LoRA adapters or without.
A checkpoint of our own is such a directory with one file more, `agent.json`: what its prompts showed in training.
Weights are read from safetensors only, and no code that a checkpoint brings is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from autollmresearch.dialogue import Style, action, conversation, reasoning
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.analyst import Known
from autollmresearch.policies.analyst import AnalystPolicy, with_evidence
from autollmresearch.policies.chat import Chat
from autollmresearch.policies.decoder import Decoder
from autollmresearch.policies.pretrained import load_pretrained, local
from autollmresearch.policies.score import answers, draw, probabilities, weigh
from autollmresearch.policy import Candidate, Proposal, State, Tokens, Usage
from llmconfig_gym.description import require
from llmconfig_gym.files import write_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

AGENT_FILE = "agent.json"

Decode: TypeAlias = Literal["greedy", "sample", "score"]
"""How an answer comes about: the likeliest word each time, words drawn at a temperature, or the likeliest of all
answers that are legal and were not tried (score.py)."""

ASKED_AT_ONCE = 64
"""Prompts of `ask` that are answered together: bounds the memory of the cache."""

SHOWN = 5
"""Candidates that a scored proposal names, with their probabilities of being best."""


TOO_LONG = "Beware: this is more than the model can read; the analyst decides."
"""What people are told then, before the analyst's reasons."""

Turned: TypeAlias = tuple[list[int], list[int]]
"""What was read, and what was written then, in one turn, as ids."""

Read: TypeAlias = tuple[list[Turned], list[int], str]
"""The turns before; what is new, as ids and as text."""


@dataclass(frozen=True)
class AgentSettings:
    """How a model is asked.

    Attributes:
        style: what its prompts show.
        max_new_tokens: the most that one turn may write; what is longer is cut off, and most likely invalid.
        context: the most tokens of a whole episode. An agent that writes says nothing in a turn for which there is no
            room, which is invalid; one that scores forgets its earliest trials, and what it cannot read even so is
            left to the analyst, where there is evidence.
        score: whether all legal answers are scored and the likeliest is given (it may be longer than
            `max_new_tokens`), instead of writing one.
        calibration: how much less sure than its shares it should be of its probabilities (`score.probabilities`).
    """

    style: Style = field(default_factory=Style)
    max_new_tokens: int = 512
    context: int = 8192
    score: bool = False
    calibration: float = 1.0

    def __post_init__(self) -> None:
        require(self.calibration > 0, "calibration is more than 0", self.calibration)

    def save(self, checkpoint: Path) -> None:
        """Write `agent.json` into a checkpoint's directory."""
        write_text(checkpoint / AGENT_FILE, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, checkpoint: Path) -> AgentSettings:
        """What `agent.json` in a checkpoint says; the defaults where there is none. Raises `CheckpointProblem`."""
        path = checkpoint / AGENT_FILE
        if not path.is_file():
            return cls()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**data, "style": Style(**data["style"])})
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as problem:
            raise CheckpointProblem(f"{path} is not an agent's settings: {problem}") from None


@dataclass
class CausalLMPolicy:
    """A model that decides.

    Attributes:
        model: a transformers causal language model; the policy leaves its mode as it is (use it in evaluation mode).
        tokenizer: with a chat template.
        settings: how it is asked.
        temperature: of what it writes; 0 takes the most likely token each time. Where it scores: of the answer that is
            drawn; 0 gives the best.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: AgentSettings = field(default_factory=AgentSettings)
    temperature: float = 0.0

    def __post_init__(self) -> None:
        self.chat = Chat(self.tokenizer)
        self.decoder = Decoder(self.model, self.chat.end_id)

    @classmethod
    def load(
        cls,
        path: str,
        *,
        decode: Decode | None = None,
        temperature: float | None = None,
        device: str | None = None,
        **options: Any,
    ) -> CausalLMPolicy:
        """The agent in a directory or of a hub id, `@REVISION` or not.

        Args:
            decode: by default what the checkpoint says, or `sample` if a temperature is given.
            temperature: of `sample` (1), where 0 is `greedy`; with `score`, answers are drawn from the model's own
                probabilities at this temperature (0: the best is given).
            device: `cpu`, `cuda`, ...; a GPU where there is one by default.
            options: fields of `AgentSettings` or `Style` to use in place of what the checkpoint says.

        Raises:
            CheckpointProblem: it cannot be loaded.
        """
        import torch

        directory = local(path)
        settings = _changed(AgentSettings.load(directory), options)
        if temperature is not None:
            decode = decode or "sample"
        if decode is not None:
            settings = replace(settings, score=decode == "score")
        heat = temperature if temperature is not None else 1.0 if decode == "sample" else 0.0
        if decode == "greedy":
            heat = 0.0
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        model, tokenizer = load_pretrained(directory)
        if device == "cpu" and model.dtype == torch.float16:
            model = model.float()  # half precision is for GPUs
        return cls(model.to(device).eval(), tokenizer, settings, heat)

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        """One answer per state, all written together or each scored. Each state draws from its own randomness."""
        if self.settings.score:
            return self._scored(states)
        return self._write([self._read(state) for state in states], [state.rng() for state in states])

    def ask(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Proposal]:
        """What the model writes on each prompt, outside of the dialogue; it never scores here."""
        result = []
        for first in range(0, len(prompts), ASKED_AT_ONCE):
            part = slice(first, first + ASKED_AT_ONCE)
            read: list[Read] = [([], self.chat.start(p), p) for p in prompts[part]]
            result += self._write(read, [np.random.default_rng(seed) for seed in seeds[part]])
        return result

    def _write(self, read: Sequence[Read], rngs: Sequence[np.random.Generator]) -> list[Proposal]:
        """An answer to each."""
        ids = [[*chain(*chain(*past)), *new] for past, new, _ in read]
        most, context = self.settings.max_new_tokens, self.settings.context
        room = [min(most, context - len(known)) for known in ids]
        width = max(0, *room)
        uniforms = np.stack([rng.random(width) for rng in rngs])
        fits = [i for i, space in enumerate(room) if space > 0]
        written = self.decoder.write(
            [ids[i] for i in fits],
            uniforms[fits],
            temperature=self.temperature,
            limits=[room[i] for i in fits],
        )
        answers = dict(zip(fits, written, strict=True))
        proposals = []
        for i, (_, new, prompt) in enumerate(read):
            if i not in answers:
                proposals.append(Proposal("", prompt=prompt))  # no room left: a missing turn
                continue
            text = self.chat.text(answers[i].ids)
            tokens = Tokens(tuple(new), answers[i].ids, answers[i].logprobs)
            usage = Usage(len(new), len(answers[i].ids))
            proposals.append(Proposal(text, reasoning(text), prompt=prompt, tokens=tokens, usage=usage))
        return proposals

    def _scored(self, states: Sequence[State]) -> list[Proposal]:
        """The best answers, or answers drawn at the temperature. States that know the same are scored once."""
        made: dict[object, Callable[[State], Proposal]] = {}
        result = []
        for state in states:
            said = tuple(str(p.config) for p in state.proposals)
            key = (Known(state.problem, state.trials), said, state.hint)
            if key not in made:
                made[key] = self._score(state)
            result.append(made[key](state))
        return result

    def _score(self, state: State) -> Callable[[State], Proposal]:
        """Weigh all answers that are legal and were not given yet; the result gives one of them."""
        style = self.settings.style
        possible = answers(state, style, self.chat.words)
        turns, new, prompt = self._read(state)
        read, whole = recent(turns, new, self.settings.context - max(map(len, possible.ids)))
        if not read:
            return lambda state: self._unread(state, prompt)
        of_each, share = weigh(self.model, read, possible.ids)
        order = np.argsort(-share, kind="stable")[:SHOWN].tolist()
        chance = probabilities(share, self.settings.calibration)
        pool = state.problem.pool
        shown = tuple(Candidate(pool.config(int(possible.rows[i])), float(chance[i])) for i in order)

        def give(state: State) -> Proposal:
            i = order[0] if self.temperature == 0 else draw(share, self.temperature, state.rng())
            forced = [0.0] * (len(possible.ids[i]) - len(of_each[i]))
            # Of a dialogue of which something was forgotten, these ids are not what was read before the answer.
            tokens = Tokens(tuple(new), tuple(possible.ids[i]), (*of_each[i], *forced)) if whole else None
            proposal = Proposal(
                possible.texts[i],
                reasoning(possible.texts[i]),
                prompt=prompt,
                tokens=tokens,
                usage=Usage(len(new), len(possible.ids[i])),
                candidates=shown,
            )
            return with_evidence(proposal, state, int(possible.rows[i])) if style.evidence else proposal

        return give

    def _unread(self, state: State, prompt: str) -> Proposal:
        """What is longer than the model can read is left to the analyst, or without evidence a missing turn."""
        if not self.settings.style.evidence:
            return Proposal("", prompt=prompt)
        said = AnalystPolicy().propose([state])[0]
        assert not isinstance(said.config, str)
        return replace(said, config=action(said.config), prompt=prompt, reasoning=f"{TOO_LONG} {said.reasoning}")

    def _read(self, state: State) -> Read:
        messages = conversation(state, self.settings.style)
        new = messages[-1]["content"]
        past: list[Turned] = []
        finished = True
        for turn, message in enumerate(messages[1::2]):
            tokens = state.proposals[turn].tokens if turn < len(state.proposals) else None
            if tokens is None:  # said elsewhere, or an empty turn
                read = self._new(messages[2 * turn]["content"], turn, finished)
                past.append((read, self.chat.words(message["content"])))
                finished = True
            else:
                past.append(([*tokens.read], [*tokens.wrote]))
                finished = bool(tokens.wrote) and tokens.wrote[-1] == self.chat.end_id
        return past, self._new(new, len(messages) // 2, finished), new

    def _new(self, text: str, turn: int, finished: bool) -> list[int]:
        return self.chat.start(text) if turn == 0 else self.chat.follow(text, finished)


def recent(past: Sequence[Turned], new: Sequence[int], room: int) -> tuple[list[int], bool]:
    """What is read: the first prompt and the latest turns that fit, with what is new; and whether that is all.

    Empty if not even the first prompt and the latest turn fit.
    """
    reads = [*(read for read, _ in past), new]
    turns = [[*wrote, *read] for (_, wrote), read in zip(past, reads[1:], strict=True)]
    for forgotten in range(max(1, len(turns))):
        ids = [*reads[0], *chain.from_iterable(turns[forgotten:])]
        if len(ids) <= room:
            return ids, forgotten == 0
    return [], False


def _changed(settings: AgentSettings, options: dict[str, Any]) -> AgentSettings:
    """These settings with some fields of theirs or of their style replaced."""
    shown = {f.name for f in fields(Style)} & options.keys()
    style = replace(settings.style, **{name: options[name] for name in shown})
    return replace(settings, style=style, **{k: v for k, v in options.items() if k not in shown})
