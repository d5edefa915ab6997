"""Language-model optimisers by name: `llambo:endpoint:MODEL,samples=5`, `opro:agent:PATH`, `centaur:researcher-mini`.

After the optimiser's name stands who answers, as it is called everywhere (policies/named.py), then options: the
optimiser's own, what of the cheaper runs is shown, and how the model is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autollmresearch.baselines.llm.centaur import Centaur
from autollmresearch.baselines.llm.direct import Direct
from autollmresearch.baselines.llm.llambo import Llambo
from autollmresearch.baselines.llm.opro import Opro
from autollmresearch.baselines.llm.optimiser import LLMOptimiserPolicy, Optimiser
from autollmresearch.baselines.llm.sllmbo import Sllmbo
from autollmresearch.dialogue import Style
from autollmresearch.errors import UnknownMethod
from autollmresearch.policies.named import AT_LEAST_MINUS_ONE, COUNT, MODELS, SHOWS, Kind, read_options

SHOWN = {name: SHOWS[name] for name in ("top", "experiments", "fidelity")}
"""Options on what of the cheaper runs is shown."""

NOT_HERE = (*SHOWS, "decode", "trust")
"""Options of a language model that are of our own dialogue only."""

OPTIMISERS: Mapping[str, tuple[Callable[..., Optimiser], Mapping[str, Kind]]] = {
    "direct": (Direct, {}),
    "opro": (Opro, {}),
    "llambo": (Llambo, {"startup": COUNT, "candidates": COUNT, "samples": COUNT, "alpha": AT_LEAST_MINUS_ONE}),
    "sllmbo": (Sllmbo, {}),
    "centaur": (Centaur, {"every": COUNT}),
}
"""Optimisers with the kinds of their own options."""

WHO = "LLM"
"""Stands for who answers, in messages."""


def make_optimiser(name: str) -> LLMOptimiserPolicy:
    """The policy of a name that starts with one of `OPTIMISERS`. Nothing is loaded or asked yet.

    Raises:
        UnknownMethod: it does not say who answers, or an option is wrong; the message names what is known.
        CheckpointProblem, MissingExtra: as for the language model itself.
    """
    base, _, text = name.partition(":")
    who, *items = text.split(",")
    kind, _, argument = who.partition(":")
    if kind not in MODELS or bool(MODELS[kind].argument) != bool(argument.strip()):
        legal = [f"{base}:{k}:{m.argument}".rstrip(":") for k, m in MODELS.items()]
        raise UnknownMethod(
            f"{name!r} does not say which language model answers; expected {', '.join(legal)}, options after a comma"
        )
    model = MODELS[kind]
    make, own = OPTIMISERS[base]
    asked = {key: value for key, value in model.options.items() if key not in NOT_HERE}
    options = read_options(name, items, {**own, **SHOWN, **asked}, model.argument)
    style = Style(**_taken(options, SHOWN))
    chosen = _taken(options, own)
    if "decode" in model.options:  # an agent: it writes, whatever its checkpoint says
        options.setdefault("temperature", 1.0)
    return LLMOptimiserPolicy(make(style=style, **chosen), model.make(argument, options))


def _taken(options: dict[str, Any], names: Mapping[str, Kind]) -> dict[str, Any]:
    """These options, taken out of the others."""
    return {name: options.pop(name) for name in names if name in options}
