"""Models and tokenizers from a directory or a hub: weights from safetensors only, and no code that comes with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autollmresearch.errors import CheckpointProblem


def quiet() -> None:
    """No progress bar for every file that transformers reads or writes; they would show whatever was asked for."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def load_pretrained(path: str | Path, *, dtype: Any = "auto", trainable: bool = False) -> tuple[Any, Any]:
    """The causal language model and the tokenizer at `path`, a directory or a hub id.

    Args:
        dtype: of the weights; as they were saved by default.
        trainable: a LoRA adapter can be trained further.

    Raises:
        CheckpointProblem: they cannot be loaded.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    expected = "expected a directory with config.json, safetensors and a tokenizer, or the id of one on a hub"
    if Path(path).is_dir() and not any((Path(path) / n).is_file() for n in ("config.json", "adapter_config.json")):
        raise CheckpointProblem(f"{path} holds no config.json; {expected}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model: Any
        if trainable and (Path(path) / "adapter_config.json").is_file():
            from peft import AutoPeftModelForCausalLM

            model = AutoPeftModelForCausalLM.from_pretrained(str(path), is_trainable=True, dtype=dtype)
        else:
            model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, use_safetensors=True)
    except Exception as problem:  # a damaged file makes the libraries raise nearly anything
        said = (str(problem) or type(problem).__name__).splitlines()[0]
        raise CheckpointProblem(f"{path} cannot be loaded as a causal language model: {said}; {expected}") from None
    return model, tokenizer
