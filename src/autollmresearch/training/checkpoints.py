"""Checkpoints as a step leaves them, loaded to be trained further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autollmresearch.errors import CheckpointProblem


def load(path: Path) -> tuple[Any, Any]:
    """The model, its weights as they were saved (with its LoRA adapter trainable, if it has one), and its tokenizer.

    Raises:
        CheckpointProblem: it cannot be loaded.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model: Any
        if (path / "adapter_config.json").is_file():
            from peft import AutoPeftModelForCausalLM

            model = AutoPeftModelForCausalLM.from_pretrained(str(path), is_trainable=True, dtype="auto")
        else:
            model = AutoModelForCausalLM.from_pretrained(path, dtype="auto", use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as problem:
        raise CheckpointProblem(
            f"{path} cannot be loaded to train it further: {str(problem).splitlines()[0]}; remove its step's directory "
            "and run the step again"
        ) from None
    return model, tokenizer


def quiet() -> None:
    """No progress bar for every file that transformers reads or writes: a step has one of its own."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
