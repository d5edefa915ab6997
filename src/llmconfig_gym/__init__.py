"""LLMConfig-Gym: measured LLM experiments as a multi-fidelity environment.

    >>> import llmconfig_gym as gym
    >>> experiment = gym.load_experiment("micro/...")
    >>> experiment.tell({"lr": 4e-3, "batch_size": 8}).value

Names below are imported when first used, so that `import llmconfig_gym` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmconfig_gym.catalog import available, load_experiment, load_suite
    from llmconfig_gym.env import ConfigEnv
    from llmconfig_gym.errors import GymError
    from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
    from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
    from llmconfig_gym.pool import Pool
    from llmconfig_gym.space import Space
    from llmconfig_gym.suite import Card, Suite
    from llmconfig_gym.tasks import TASKS, Task, describe

_HOME = {
    "catalog": ("available", "load_experiment", "load_suite"),
    "env": ("ConfigEnv",),
    "errors": ("GymError",),
    "experiment": ("Experiment", "Fidelity", "Metric", "Outcome"),
    "parameter": ("Categorical", "Grid", "Integer", "Real", "Simplex"),
    "pool": ("Pool",),
    "space": ("Space",),
    "suite": ("Card", "Suite"),
    "tasks": ("TASKS", "Task", "describe"),
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "TASKS",
    "Card",
    "Categorical",
    "ConfigEnv",
    "Experiment",
    "Fidelity",
    "Grid",
    "GymError",
    "Integer",
    "Metric",
    "Outcome",
    "Pool",
    "Real",
    "Simplex",
    "Space",
    "Suite",
    "Task",
    "available",
    "describe",
    "load_experiment",
    "load_suite",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
