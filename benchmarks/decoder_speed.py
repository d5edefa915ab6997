"""Tokens written per second by our decoder, with its growing cache and with transformers' own, and by `generate`.

    python benchmarks/decoder_speed.py [--rows 64] [--turns 3] [--format json]

A model of 2.7 million random weights writes 60 tokens a turn, on rows that share eight prompts of 900 tokens and read
25 more between turns; CPU seconds. Peers: the same loop with a `DynamicCache`, which copies all it holds for every
token; and `model.generate`, which reads the whole history of every row again each turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from autollmresearch.policies import decoder
from autollmresearch.policies.decoder import Decoder

PROMPT, WRITTEN, READ, VOCABULARY = 900, 60, 25, 1500


def main() -> None:
    """Print a line per way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64, help="episodes that advance together (default: 64)")
    parser.add_argument("--turns", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            pad_token_id=0,
            eos_token_id=None,
            bos_token_id=None,
        )
    ).eval()
    ways = {"ours": ours(model), "ours, DynamicCache": with_dynamic_cache(model), "generate": generate(model)}
    speeds = {name: speed(write, args.rows, args.turns) for name, write in ways.items()}
    if args.format == "json":
        print(json.dumps(speeds))
        return
    for name, tokens in speeds.items():
        print(f"{name:20} {tokens:7.0f} tokens/s")


def speed(write: Callable[[list[list[int]], Any], list[list[int]]], rows: int, turns: int) -> float:
    """Tokens per CPU second over all turns."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(4, VOCABULARY, PROMPT).tolist() for _ in range(8)]
    sequences = [prompts[i * 8 // rows] for i in range(rows)]
    started = time.process_time()
    for _ in range(turns):
        said = write(sequences, rng.random((rows, WRITTEN)))
        more = rng.integers(4, VOCABULARY, (rows, READ)).tolist()
        sequences = [s + w + m for s, w, m in zip(sequences, said, more, strict=True)]
    return rows * turns * WRITTEN / (time.process_time() - started)


def ours(model: Any) -> Callable[[list[list[int]], Any], list[list[int]]]:
    """Our decoder; no token ends a turn."""
    one = Decoder(model, end_id=-1)

    def write(sequences: list[list[int]], uniforms: Any) -> list[list[int]]:
        limits = [WRITTEN] * len(sequences)
        return [list(w.ids) for w in one.write(sequences, uniforms, temperature=1.0, limits=limits)]

    return write


def with_dynamic_cache(model: Any) -> Callable[[list[list[int]], Any], list[list[int]]]:
    """Our decoder over transformers' own cache."""

    def cache(config: Any) -> Any:
        made: Any = DynamicCache(config=config)
        made.may_have_holes = True
        return made

    one = ours(model)

    def write(sequences: list[list[int]], uniforms: Any) -> list[list[int]]:
        growing, decoder.growing_cache = decoder.growing_cache, cache
        try:
            return one(sequences, uniforms)
        finally:
            decoder.growing_cache = growing

    return write


def generate(model: Any) -> Callable[[list[list[int]], Any], list[list[int]]]:
    """`model.generate` on the whole history of every row (all of equal length here, so nothing is padded)."""

    def write(sequences: list[list[int]], _: Any) -> list[list[int]]:
        ids = torch.tensor(sequences)
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, max_new_tokens=WRITTEN)
        return [list(row) for row in out[:, ids.shape[1] :].tolist()]

    return write


if __name__ == "__main__":
    main()
