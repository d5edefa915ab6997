"""Models and tokenizers from a directory or a hub: weights from safetensors only, and no code that comes with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from autollmresearch.errors import CheckpointProblem

HUB_ID = re.compile(r"(?P<id>\w[\w.-]*(/\w[\w.-]*)?)(@(?P<revision>\w[\w./-]*))?", re.ASCII)
"""`name` or `owner/name`, as hubs call models, and after an `@` one of its commits, tags or branches."""

ADAPTER, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""The files of an adapter."""

WANTED = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
"""Of a hub's files those that are fetched: no pickles, no code."""

UNWANTED = ("*/*", "consolidated*")
"""Copies of the weights in the forms of other libraries."""


def quiet() -> None:
    """No progress bar for every file that transformers reads or writes; they would show whatever was asked for."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def split_revision(path: str) -> tuple[str, str | None]:
    """A hub id, and the revision after its `@`; None where it has none."""
    found = HUB_ID.fullmatch(path)
    return (found["id"], found["revision"]) if found else (path, None)


def is_directory(path: str | Path) -> bool:
    """Whether there is a directory; what is too long for a path, or has a zero byte, is none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def local(path: str | Path) -> Path:
    """The directory at `path`; of a hub id, with or without `@REVISION`, the directory into which it was fetched.

    Without a network it is what was fetched before.

    Raises:
        CheckpointProblem: there is no such directory, and nothing of this name, or not this revision of it, can be
            fetched.
    """
    if is_directory(path):
        return Path(path)
    from huggingface_hub import snapshot_download

    quiet()
    hub_id, revision = split_revision(str(path))
    try:
        found = snapshot_download(hub_id, revision=revision, allow_patterns=[*WANTED], ignore_patterns=[*UNWANTED])
    except (OSError, ValueError) as problem:
        said = " ".join(str(problem).split())
        raise CheckpointProblem(
            f"{path} cannot be loaded: it is no directory, and cannot be fetched from the hub: {said}"
        ) from None
    return Path(found)


def load_pretrained(path: str | Path, *, dtype: Any = "auto", trainable: bool = False) -> tuple[Any, Any]:
    """The causal language model and the tokenizer at `path`, a directory or a hub id (`owner/name@revision`).

    Args:
        dtype: of the weights; as they were saved by default.
        trainable: a LoRA adapter can be trained further.

    Raises:
        CheckpointProblem: they cannot be loaded, or the weights are no safetensors.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    expected = "expected a directory with config.json, safetensors and a tokenizer, or the id of one on a hub"
    directory = local(path)
    if not any((directory / n).is_file() for n in ("config.json", ADAPTER)):
        raise CheckpointProblem(f"{path} holds no config.json; {expected}")
    _refuse_pickled(directory)
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory)
        model: Any
        if trainable and (directory / ADAPTER).is_file():
            from peft import AutoPeftModelForCausalLM

            model = AutoPeftModelForCausalLM.from_pretrained(
                str(directory), is_trainable=True, dtype=dtype, use_safetensors=True
            )
        else:
            model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, use_safetensors=True)
    except Exception as problem:  # a damaged file makes the libraries raise nearly anything
        said = (str(problem) or type(problem).__name__).splitlines()[0]
        raise CheckpointProblem(f"{path} cannot be loaded as a causal language model: {said}; {expected}") from None
    return model, tokenizer


def _refuse_pickled(directory: Path) -> None:
    """Of an adapter, both libraries would read `adapter_model.bin`, whatever `use_safetensors` says."""
    if (directory / ADAPTER).is_file() and not (directory / WEIGHTS).is_file():
        raise CheckpointProblem(
            f"{directory} cannot be loaded: an adapter without {WEIGHTS}, and pickled weights are not read; where you "
            "trust it, load it with peft and write it again with save_pretrained, which makes safetensors"
        )
