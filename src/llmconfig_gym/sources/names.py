"""Names that no agent may read: a pretrained model may remember results published under them.

They are names of data sets, benchmarks, models, devices and papers behind the public tables. Everything an agent
reads (parameters, components, metrics, details, fidelities) describes instead: `code_repositories`, "a data-centre
GPU".
Ids, families and cards may name them: agents never see those.
"""

from __future__ import annotations

import re

FORBIDDEN = (
    # the tables and their papers
    *("step law", "steplaw", "step2v2", "hw gpt", "hwgpt", "admire", "regmix", "predictable scale"),
    # pretraining corpora
    *("pile", "arxiv", "freelaw", "nih", "exporter", "pubmed", "wiki", "dm math", "deepmind", "github", "philpapers"),
    *("stackexchange", "stack exchange", "stackoverflow", "enron", "gutenberg", "pg19", "pg 19", "commoncrawl"),
    *("common crawl", "ubuntu", "europarl", "hackernews", "hacker news", "uspto", "openwebtext", "fineweb", "c4"),
    # instruction data
    *(
        "coconot",
        "alpaca",
        "codealpaca",
        "evol code",
        "flan",
        "no robots",
        "norobots",
        "numina",
        "oasst",
        "openassistant",
    ),
    *(
        "persona",
        "tulu",
        "aya",
        "open math",
        "openmath",
        "sciriff",
        "wildguard",
        "wildchat",
        "wildjailbreak",
        "table gpt",
    ),
    # benchmarks
    *("minerva", "gsm", "bbh", "big bench", "mmlu", "codex", "humaneval", "drop", "ifeval", "popqa", "truthfulqa"),
    *("arc", "bigcode", "gpqa", "naturalqs", "natural questions", "piqa", "socialiqa", "siqa", "triviaqa", "olmes"),
    # models and devices
    *(
        "gpt",
        "qwen",
        "llama",
        "olmo",
        "mistral",
        "gemma",
        "pythia",
        "a100",
        "h100",
        "rtx",
        "nvidia",
        "geforce",
        "ampere",
    ),
)
"""Stems, in lower case, with a space wherever a space, `_`, `-` or nothing may stand."""

_WHOLE = {"arc", "aya", "drop", "pile", "c4", "nih"}
"""Stems that are parts of ordinary words (architecture, compile): refused as whole words only."""


def _pattern(stem: str) -> str:
    body = re.escape(stem).replace(r"\ ", r"[\s_-]*")
    return body + (r"(?![a-z0-9])" if stem in _WHOLE else "")


_ANY = re.compile(r"(?<![a-z0-9])(?:" + "|".join(map(_pattern, FORBIDDEN)) + ")")


def forbidden_in(text: str) -> list[str]:
    """The forbidden names that begin a word of `text`, as they stand there (in lower case)."""
    return _ANY.findall(text.lower())
