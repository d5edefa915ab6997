"""A causal language model as a policy: it reads the dialogue, thinks in words, and writes one configuration.

Any Hugging Face causal language model with a chat template will do, by path or hub id, with LoRA adapters or without.
A checkpoint of our own is such a directory with one file more, `agent.json`: what its prompts showed in training.
Weights are read from safetensors only, and no code that a checkpoint brings is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from autollmresearch.dialogue import Style, conversation, reasoning
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.analyst import Known
from autollmresearch.policies.analyst import with_evidence
from autollmresearch.policies.chat import Chat
from autollmresearch.policies.decoder import Decoder
from autollmresearch.policies.pretrained import load_pretrained
from autollmresearch.policies.score import answers, choose, draw, weigh
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


@dataclass(frozen=True)
class AgentSettings:
    """How a model is asked.

    Attributes:
        style: what its prompts show.
        max_new_tokens: the most that one turn may write; what is longer is cut off, and most likely invalid.
        context: the most tokens of a whole episode; a turn for which there is no room is empty, hence invalid.
        score: whether all legal answers are scored and the likeliest is given (it may be longer than
            `max_new_tokens`), instead of writing one.
        trust: how much say the analyst's possible worlds have then beside the model (`score.choose`); 0: none.
            Without evidence they have none.
    """

    style: Style = field(default_factory=Style)
    max_new_tokens: int = 512
    context: int = 8192
    score: bool = False
    trust: float = 0.0

    def __post_init__(self) -> None:
        require(self.trust >= 0, "trust is at least 0", self.trust)

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
        """The agent in a directory or of a hub id.

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

        settings = _changed(AgentSettings.load(Path(path)), options)
        if temperature is not None:
            decode = decode or "sample"
        if decode is not None:
            settings = replace(settings, score=decode == "score")
        heat = temperature if temperature is not None else 1.0 if decode == "sample" else 0.0
        if decode == "greedy":
            heat = 0.0
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        model, tokenizer = load_pretrained(path)
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
            read: list[tuple[list[int], list[int], str]] = [([], self.chat.start(p), p) for p in prompts[part]]
            result += self._write(read, [np.random.default_rng(seed) for seed in seeds[part]])
        return result

    def _write(
        self, read: Sequence[tuple[list[int], list[int], str]], rngs: Sequence[np.random.Generator]
    ) -> list[Proposal]:
        """An answer for each (ids read and written before, ids that are new, the new ones as text)."""
        most, context = self.settings.max_new_tokens, self.settings.context
        room = [min(most, context - len(past) - len(new)) for past, new, _ in read]
        width = max(0, *room)
        uniforms = np.stack([rng.random(width) for rng in rngs])
        fits = [i for i, space in enumerate(room) if space > 0]
        written = self.decoder.write(
            [read[i][0] + read[i][1] for i in fits],
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
            ids, logprobs = answers[i].ids, answers[i].logprobs
            text = self.chat.text(ids)
            tokens = Tokens(tuple(new), ids, logprobs)
            usage = Usage(len(new), len(ids))
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
        past, new, prompt = self._read(state)
        possible = answers(state, self.settings.style, self.chat.words)
        if len(past) + len(new) + max(map(len, possible.ids)) > self.settings.context:
            return lambda state: Proposal("", prompt=prompt)  # no room left: a missing turn
        of_each, share = weigh(self.model, [*past, *new], possible.ids)
        chance = share
        if self.temperature == 0:
            trust = self.settings.trust if self.settings.style.evidence else 0.0
            best, chance = choose(state, possible.rows, share, trust)
        order = np.argsort(-chance, kind="stable")[:SHOWN].tolist()
        pool = state.problem.pool
        shown = tuple(Candidate(pool.config(int(possible.rows[i])), float(chance[i])) for i in order)

        def give(state: State) -> Proposal:
            i = best if self.temperature == 0 else draw(share, self.temperature, state.rng())
            forced = [0.0] * (len(possible.ids[i]) - len(of_each[i]))
            proposal = Proposal(
                possible.texts[i],
                reasoning(possible.texts[i]),
                prompt=prompt,
                tokens=Tokens(tuple(new), tuple(possible.ids[i]), (*of_each[i], *forced)),
                usage=Usage(len(new), len(possible.ids[i])),
                candidates=shown,
            )
            return with_evidence(proposal, state, int(possible.rows[i])) if self.settings.style.evidence else proposal

        return give

    def _read(self, state: State) -> tuple[list[int], list[int], str]:
        """Ids of all that was read and written before, ids of what is new, and what is new as text."""
        messages = conversation(state, self.settings.style)
        new = messages[-1]["content"]
        past: list[int] = []
        finished = True
        for turn, message in enumerate(messages[1::2]):
            tokens = state.proposals[turn].tokens if turn < len(state.proposals) else None
            if tokens is None:  # said elsewhere, or an empty turn
                read = messages[2 * turn]["content"]
                past += self._new(read, turn, finished) + self.chat.words(message["content"])
                finished = True
            else:
                past += [*tokens.read, *tokens.wrote]
                finished = bool(tokens.wrote) and tokens.wrote[-1] == self.chat.end_id
        return past, self._new(new, len(messages) // 2, finished), new

    def _new(self, text: str, turn: int, finished: bool) -> list[int]:
        return self.chat.start(text) if turn == 0 else self.chat.follow(text, finished)


def _changed(settings: AgentSettings, options: dict[str, Any]) -> AgentSettings:
    """These settings with some fields of theirs or of their style replaced."""
    shown = {f.name for f in fields(Style)} & options.keys()
    style = replace(settings.style, **{name: options[name] for name in shown})
    return replace(settings, style=style, **{k: v for k, v in options.items() if k not in shown})
