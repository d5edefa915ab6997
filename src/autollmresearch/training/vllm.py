"""Rollouts by vLLM, for models that are too large to be decoded in PyTorch.

NOT TRIED on a GPU: the tests know only a stand-in for the engine. TRL starts the engine inside each training process
(`vllm_mode="colocate"`), gives it the new weights before each step, and corrects the update for what its kernels
compute differently (a ratio per token, cut off above). An engine draws from its own randomness, so a run with vLLM
cannot be repeated to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autollmresearch.policies.decoder import Written


class VllmDecoder:
    """Writes as `policies.decoder.Decoder` does, with TRL's engine (`trainer.vllm_generation`).

    The temperature is the engine's, which is that of the settings; it stops where the model's generation settings say.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def forget(self) -> None:
        """Nothing: the engine keeps its own cache."""

    def write(
        self, sequences: Sequence[Sequence[int]], uniforms: object, *, temperature: float, limits: Sequence[int]
    ) -> list[Written]:
        """Go on from each sequence until its end token or its limit."""
        if not sequences:
            return []
        self.engine.max_completion_length = max(limits)
        _, ids, logprobs, *_ = self.engine.generate(
            prompts=[list(s) for s in sequences], images=None, num_generations=1
        )
        return [
            Written(tuple(i[:n]), tuple(float("nan") if p[0] is None else float(p[0]) for p in row[:n]))
            for i, row, n in zip(ids, logprobs, limits, strict=True)
        ]
