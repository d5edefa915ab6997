"""Methods by name: `random`, `tpe:startup=3`, `researcher-mini`, `agent:runs/a`, `endpoint:MODEL` -> a policy.

A name may be followed by options, `name:key=value,key=value`; they are the fields of the policy's dataclass. Language
models are `researcher-mini`, which is shipped, `agent:PATH` and `endpoint:MODEL`; the path or model is all that stands
between the first colon and the first comma, so it may hold anything but a comma, and options follow after it.
Optimisers of the literature in which a language model answers say which after their own name: `opro:endpoint:MODEL`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from hashlib import sha256
from inspect import signature
from typing import Any

from autollmresearch.active.halving import HalvingPolicy
from autollmresearch.active.multifidelity import MultiFidelityPolicy
from autollmresearch.active.records import ActivePolicy
from autollmresearch.active.schedule import ScheduledPolicy
from autollmresearch.baselines.botorch import BoTorchPolicy
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
from autollmresearch.baselines.scikit_optimize import SkoptPolicy
from autollmresearch.baselines.smac import SmacPolicy
from autollmresearch.baselines.zero_shot import ZeroShotPolicy
from autollmresearch.errors import NotApplicable, UnknownMethod
from autollmresearch.policies.analyst import AnalystPolicy
from autollmresearch.policies.named import MINI, MODELS, make_model
from autollmresearch.policies.own import FORM, OWN, identity_of_own, make_own
from autollmresearch.policy import Policy
from llmconfig_gym.errors import MissingExtra

METHODS: Mapping[str, Callable[..., Policy]] = {
    "random": RandomPolicy,
    "tpe": partial(OptunaPolicy, "tpe"),
    "tpe-multivariate": partial(OptunaPolicy, "tpe-multivariate"),
    "tpe-independent": partial(OptunaPolicy, "tpe-independent"),
    "gp": partial(OptunaPolicy, "gp"),
    "cmaes": partial(OptunaPolicy, "cmaes", startup=1),
    "skopt-gp": partial(SkoptPolicy, "gp"),
    "skopt-forest": partial(SkoptPolicy, "forest"),
    "smac": SmacPolicy,
    "botorch-logei": BoTorchPolicy,
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

ACTIVE: Mapping[str, Callable[..., ActivePolicy]] = {
    "sha": partial(HalvingPolicy, False, False),
    "hyperband": partial(HalvingPolicy, True, False),
    "bohb": partial(HalvingPolicy, True, True),
    "mf-gp": partial(MultiFidelityPolicy, False),
    "mf-kg": partial(MultiFidelityPolicy, True),
}
"""Methods that choose what to run themselves; they serve the protocol `active:B` alone."""

NETWORKS = {"metabo": METABO, "nap": NAP}
"""Methods that come with a network of their own."""

DEFAULT = (
    *("random", "tpe", "tpe:startup=3", "gp", "gp:startup=3", "copy", "pooled-gp"),
    *("pooled-quadratic", "analyst", MINI),
)
"""The methods a benchmark runs when none is named."""

ALL = (
    *DEFAULT,
    *("rank-average", "mup-rule", "own-law", "published-law", "published-law-deepseek", "oracle"),
    *("bounding-box", "zero-shot", "quantile", "rush", "rgpe", "fsbo", "metabo", "nap"),
    *("tpe-independent:startup=3", "tpe:startup=3,warm=3", "gp:startup=3,warm=3", "cmaes"),
    *("skopt-gp:startup=3", "skopt-forest:startup=3", "smac", "botorch-logei"),
    *ACTIVE,
)
"""Every method that needs nobody's server, in the setting that is fair at few trials (`--methods all`); also the order
and the looks of methods in every report."""

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
        NotApplicable: it serves no protocol in which a policy proposes.
        CheckpointProblem, MissingExtra: a language model is not there, or what it needs is not installed.
    """
    base, _, rest = name.partition(":")
    if base in MODELS:
        return make_model(name)
    if base in OPTIMISERS:
        return make_optimiser(name)
    if base == OWN:
        return make_own(name)
    if base in ACTIVE:
        raise NotApplicable(f"{name} chooses itself what to run, which only the protocol active:B allows")
    if base not in METHODS:
        close = get_close_matches(base, (*METHODS, *MODELS, *OPTIMISERS, *ACTIVE), n=1, cutoff=0.5)
        advice = f"did you mean {close[0]!r}? " if close else ""
        known = f"{', '.join(KNOWN)}; under active:B also {', '.join(ACTIVE)}"
        raise UnknownMethod(f"no method is called {base!r}; {advice}known: {known}")
    factory = METHODS[base]
    return factory(**_options(name, rest, factory))


def installed(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of these methods that what is installed here can run, and a sentence for each other."""
    able, notes = [], []
    for name in names:
        try:
            make_policy(name)
        except MissingExtra as missing:
            notes.append(f"{name} is left out: {missing}")
        else:
            able.append(name)
    return able, notes


def make_active(name: str) -> ActivePolicy:
    """The method of this name and options under `active:B`: its own way to choose runs, or the shared schedule.

    Raises:
        As `make_policy`.
    """
    base, _, rest = name.partition(":")
    if base in ACTIVE:
        return ACTIVE[base](**_options(name, rest, ACTIVE[base]))
    policy = make_policy(name)
    return ScheduledPolicy(policy, getattr(policy, "target_only", False))


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


def _options(name: str, text: str, factory: Callable[..., object]) -> dict[str, Any]:
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
