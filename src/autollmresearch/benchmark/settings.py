"""Settings of a benchmark: everything that decides its numbers, saved as resolved with a digest."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from autollmresearch.benchmark.protocols import Active, parse_protocol
from autollmresearch.errors import InvalidSettings, NotApplicable
from autollmresearch.methods import DEFAULT, identity, make_active, make_policy
from llmconfig_gym.catalog import load_suite
from llmconfig_gym.experiment import LEVELS, Level
from llmconfig_gym.suite import Suite


@dataclass(frozen=True)
class BenchmarkSettings:
    """What to run.

    Attributes:
        suites: names or paths of suites.
        protocols: `full`, `metered:N`, `active:B`.
        methods: names as `make_policy` reads them.
        budget: trials on each target; under `active:B` in how many equal parts of B recommendations are asked for.
        seeds: episodes per method, experiment and protocol; seeds are 0 .. seeds - 1.
        level: which experiments are targets. `high` is for final measurements; settings are chosen on `medium`.
    """

    suites: tuple[str, ...] = ("micro",)
    protocols: tuple[str, ...] = ("full",)
    methods: tuple[str, ...] = DEFAULT
    budget: int = 10
    seeds: int = 10
    level: Level = "high"

    def resolve(self) -> tuple[BenchmarkSettings, tuple[Suite, ...]]:
        """These settings checked, with suites by their own names, and the suites themselves.

        Raises:
            InvalidSettings, InvalidProtocol, UnknownMethod, CheckpointProblem: and the gym's errors for suites that
                cannot be loaded.
        """
        self._check_distinct()
        for name in ("budget", "seeds"):
            if getattr(self, name) < 1:
                raise InvalidSettings(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.level not in LEVELS[1:]:
            raise InvalidSettings(f"level must be medium or high (low has nothing cheaper), found {self.level!r}")
        protocols = [parse_protocol(p) for p in self.protocols]
        for method, protocol in product(self.methods, protocols):
            with suppress(NotApplicable):  # its cells will say so
                (make_active if isinstance(protocol, Active) else make_policy)(method)
        suites = tuple(load_suite(name) for name in self.suites)
        for suite in suites:
            if not any(s.level == self.level and suite.cheaper(s.id) for s in suite.summaries):
                raise InvalidSettings(
                    f"suite {suite.name} has no {self.level} experiment with a cheaper one to learn from"
                )
        resolved = replace(self, suites=tuple(s.name for s in suites), protocols=tuple(map(str, protocols)))
        resolved._check_distinct()  # `metered:5` and `metered:05`, or a suite by its name and by its path
        return resolved, suites

    def _check_distinct(self) -> None:
        for name in ("suites", "protocols", "methods"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InvalidSettings(f"{name} must be one or more distinct names, found {', '.join(values) or 'none'}")

    def manifest(self, suites: tuple[Suite, ...]) -> dict[str, Any]:
        """The resolved settings, what they refer to by digest (tables, language models), and a digest of it all.

        Raises:
            CheckpointProblem: a method is a checkpoint that cannot be read.
        """
        from importlib.metadata import version

        data: dict[str, Any] = {
            "settings": asdict(self),
            "version": version("autollmresearch"),
            "tables": {s.id: s.digest for suite in suites for s in suite.summaries},
        }
        models = {method: known for method in self.methods if (known := identity(method))}
        if models:
            data["models"] = models
        text = json.dumps(data, sort_keys=True)
        return {**data, "digest": hashlib.sha256(text.encode()).hexdigest()}
