"""An agent by name: a checkpoint's directory or hub id, loaded when it is first asked and not before.

Checking a benchmark's methods, or resuming a study, must not read gigabytes of weights; so the name is a policy of its
own that loads the model behind it (`policies.causal_lm`) at its first proposal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.errors import CheckpointProblem
from autollmresearch.policies.pretrained import HUB_ID, is_directory, split_revision
from autollmresearch.policy import Proposal, State
from llmconfig_gym.errors import missing_extra

if TYPE_CHECKING:
    from autollmresearch.policies.causal_lm import CausalLMPolicy

DESCRIBES = ("config.json", "adapter_config.json")
"""Files of which a model on a hub has at least one."""


def missing_package() -> str | None:
    """What an agent needs and is not installed; None if nothing is missing."""
    return next((p for p in ("torch", "transformers") if find_spec(p) is None), None)


@dataclass(frozen=True)
class AgentPolicy:
    """A language model that is trained, or at least able, to follow the dialogue.

    Attributes:
        path: a checkpoint's directory (a whole model or a LoRA adapter), or a hub id, which may end in `@REVISION`.
        options: what `CausalLMPolicy.load` takes beside it.

    Raises:
        CheckpointProblem: there is no such directory, and it is no hub id either.
        MissingExtra: torch or transformers is not installed.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (package := missing_package()) is not None:
            raise missing_extra(package, "agent", "an agent")
        if not is_directory(self.path) and not HUB_ID.fullmatch(self.path):
            raise CheckpointProblem(
                f"{self.path!r} is no directory with a checkpoint, and no hub id such as Qwen/Qwen3-4B-Instruct-2507 "
                "or OWNER/NAME@REVISION"
            )

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        """One answer per state.

        Raises:
            CheckpointProblem: the model cannot be loaded, or not on this device.
        """
        return self._model().propose(states)

    def ask(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Proposal]:
        """What the model writes on each prompt, outside of the dialogue (see `CausalLMPolicy.ask`).

        Raises:
            CheckpointProblem: the model cannot be loaded, or not on this device.
        """
        return self._model().ask(prompts, seeds)

    def _model(self) -> CausalLMPolicy:
        return _load(self.path, tuple(sorted(self.options.items())))

    def identity(self) -> dict[str, str]:
        """What decides its answers beside the options: a digest of the checkpoint's files, or a hub's commit.

        Raises:
            CheckpointProblem: neither can be found out.
        """
        if is_directory(self.path):
            return {"files": checkpoint_digest(Path(self.path))}
        return {"commit": _commit(self.path)}


@lru_cache(maxsize=1)
def _load(path: str, options: tuple[tuple[str, Any], ...]) -> CausalLMPolicy:
    """The model behind a name. One stays loaded: memory is dearer than loading again."""
    from autollmresearch.policies.causal_lm import CausalLMPolicy

    chosen = dict(options)
    try:
        return CausalLMPolicy.load(path, **chosen)
    except (RuntimeError, AssertionError) as problem:  # torch has no such device, or too little memory on it
        where = chosen.get("device", "the device")
        first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise CheckpointProblem(f"{path} cannot be put on {where}: {first}") from None


def checkpoint_digest(directory: Path) -> str:
    """A SHA-256 over names and contents of the files in a checkpoint's directory (not of directories in it).

    An adapter's base model, where it is a directory too, is part of it.

    Raises:
        CheckpointProblem: there are no files, or they cannot be read.
    """
    total = hashlib.sha256()
    try:
        files = sorted(p for p in directory.iterdir() if p.is_file() and not p.name.startswith("."))
        for path in files:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(json.dumps([path.name, content]).encode())
    except OSError as problem:
        raise CheckpointProblem(f"{directory} cannot be read: {problem.strerror or problem}") from None
    if not files:
        raise CheckpointProblem(f"{directory} holds no files; expected a checkpoint")
    base = _base_of(directory)
    if base is not None and is_directory(base) and base.resolve() != directory.resolve():
        if _base_of(base) is not None:
            raise CheckpointProblem(f"{directory} adapts {base}, which is itself an adapter; expected a whole model")
        total.update(checkpoint_digest(base).encode())
    return total.hexdigest()


def _base_of(directory: Path) -> Path | None:
    """The base model that an adapter's settings name."""
    path = directory / "adapter_config.json"
    try:
        return Path(json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise CheckpointProblem(f"{path} does not say which model it adapts") from None


def _commit(hub_id: str) -> str:
    """The commit that a hub id or its revision stands for, now or, without a network, when it was fetched."""
    from huggingface_hub import hf_hub_download

    reason = ""
    name_of_it, revision = split_revision(hub_id)
    for name in DESCRIBES:
        try:
            return Path(hf_hub_download(name_of_it, name, revision=revision)).parent.name
        except (OSError, ValueError) as problem:
            reason = " ".join(str(problem).split())
    raise CheckpointProblem(f"{hub_id} is no directory, and cannot be found on the hub: {reason}")
