"""Methods by name: `random`, `tpe:startup=3`, `researcher-mini`, `agent:runs/a`, `endpoint:MODEL` -> a policy.

A name may be followed by options, `name:key=value,key=value`; they are the fields of the policy's dataclass. Language
models are `researcher-mini`, which is shipped, `agent:PATH` and `endpoint:MODEL`; the path or model is all that stands
between the first colon and the first comma, so it may hold anything but a comma, and options follow after it.
Optimisers of the literature in which a language model answers say which after their own name: `opro:endpoint:MODEL`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from hashlib import sha256
from inspect import signature
from typing import Any

from autollmresearch.baselines.bounding_box import BoundingBoxPolicy
from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.fsbo import FSBOPolicy
from autollmresearch.baselines.llm.named import OPTIMISERS, WHO, make_optimiser
from autollmresearch.baselines.metabo import CHECKPOINT as METABO
from autollmresearch.baselines.metabo import MetaBOPolicy
from autollmresearch.baselines.mup_rule import MupRulePolicy
from autollmresearch.baselines.nap import CHECKPOINT as NAP
from autollmresearch.baselines.nap import NAPPolicy
from autollmresearch.baselines.optuna_samplers import OptunaPolicy
from autollmresearch.baselines.oracle import OraclePolicy
from autollmresearch.baselines.own_law import OwnLawPolicy
from autollmresearch.baselines.pooled_gp import PooledGPPolicy
from autollmresearch.baselines.pooled_quadratic import PooledQuadraticPolicy
from autollmresearch.baselines.published_law import PublishedLawPolicy
from autollmresearch.baselines.quantile import QuantilePolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.baselines.rank_average import RankAveragePolicy
from autollmresearch.baselines.rgpe import RGPEPolicy
from autollmresearch.baselines.rush import RushPolicy
from autollmresearch.baselines.zero_shot import ZeroShotPolicy
from autollmresearch.errors import UnknownMethod
from autollmresearch.policies.analyst import AnalystPolicy
from autollmresearch.policies.named import MINI, MODELS, make_model
from autollmresearch.policies.own import FORM, OWN, identity_of_own, make_own
from autollmresearch.policy import Policy

METHODS: Mapping[str, Callable[..., Policy]] = {
    "random": RandomPolicy,
    "tpe": partial(OptunaPolicy, "tpe"),
    "gp": partial(OptunaPolicy, "gp"),
    "copy": CopyPolicy,
    "pooled-gp": PooledGPPolicy,
    "pooled-quadratic": PooledQuadraticPolicy,
    "bounding-box": BoundingBoxPolicy,
    "zero-shot": ZeroShotPolicy,
    "quantile": QuantilePolicy,
    "rush": RushPolicy,
    "rgpe": RGPEPolicy,
    "fsbo": FSBOPolicy,
    "metabo": MetaBOPolicy,
    "nap": NAPPolicy,
    "rank-average": RankAveragePolicy,
    "own-law": OwnLawPolicy,
    "mup-rule": MupRulePolicy,
    "published-law": partial(PublishedLawPolicy, "step-law"),
    "published-law-deepseek": partial(PublishedLawPolicy, "deepseek"),
    "oracle": OraclePolicy,
    "analyst": AnalystPolicy,
}

NETWORKS = {"metabo": METABO, "nap": NAP}
"""Methods that come with a network of their own."""

DEFAULT = (
    *("random", "tpe", "tpe:startup=3", "gp", "gp:startup=3", "copy", "pooled-gp"),
    *("pooled-quadratic", "analyst", MINI),
)
"""The methods a benchmark runs when none is named; also the order and colour of methods in every report."""

REFERENCES = ("oracle",)
"""Lines in tables that are no methods: they see what nobody can."""

KNOWN = (
    *METHODS,
    *(f"{name}:{model.argument}".rstrip(":") for name, model in MODELS.items()),
    *(f"{name}:{WHO}" for name in OPTIMISERS),
    FORM,
)


def split_methods(text: str) -> list[str]:
    """Method names from a comma-separated list, in which `key=value` belongs to the method before it.

    `tpe:startup=3,points=5,random` -> `tpe:startup=3,points=5` and `random`. The value of an option may hold a colon,
    as addresses do; what has its first colon before its first `=` is a method.
    """
    names: list[str] = []
    for part in text.split(","):
        if names and re.match("[^:]*=", part):
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def make_policy(name: str) -> Policy:
    """The policy of this name and options.

    Raises:
        UnknownMethod: no such method or option, or a value of the wrong type; the message names what is known.
        CheckpointProblem, MissingExtra: a language model is not there, or what it needs is not installed.
    """
    base, _, rest = name.partition(":")
    if base in MODELS:
        return make_model(name)
    if base in OPTIMISERS:
        return make_optimiser(name)
    if base == OWN:
        return make_own(name)
    if base not in METHODS:
        close = get_close_matches(base, (*METHODS, *MODELS, *OPTIMISERS), n=1, cutoff=0.5)
        advice = f"did you mean {close[0]!r}? " if close else ""
        raise UnknownMethod(f"no method is called {base!r}; {advice}known: {', '.join(KNOWN)}")
    factory = METHODS[base]
    return factory(**_options(name, rest, factory))


def identity(name: str) -> dict[str, str]:
    """What a method is beside its name and options: a checkpoint's or network's files, an endpoint's server, a
    Python file.

    Raises:
        CheckpointProblem: a checkpoint cannot be read. Also what `make_policy` raises.
    """
    base = name.partition(":")[0]
    if base == OWN:
        return identity_of_own(name)
    if base in OPTIMISERS:
        return make_optimiser(name).identity()
    if base in NETWORKS:
        return {"network": sha256(NETWORKS[base].read_bytes()).hexdigest()}
    return make_model(name).identity() if base in MODELS else {}


def _options(name: str, text: str, factory: Callable[..., Policy]) -> dict[str, Any]:
    """Options read as the integers and numbers their fields are."""
    known = {k: p.default for k, p in signature(factory).parameters.items() if isinstance(p.default, int | float)}
    result: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, _, value = item.partition("=")
        if key not in known:
            legal = ", ".join(f"{k}={v}" for k, v in known.items()) or "none"
            raise UnknownMethod(f"{name!r}: no option is called {key!r}; legal options with their defaults: {legal}")
        kind = type(known[key])
        try:
            result[key] = kind(value)
        except ValueError:
            raise UnknownMethod(f"{name!r}: option {key} must be of type {kind.__name__}, found {value!r}") from None
        if not result[key] >= 1:
            raise UnknownMethod(f"{name!r}: option {key} must be at least 1, found {value}")
    return result
