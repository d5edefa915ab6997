"""Everything that can go wrong in AutoLLMResearch, in one place.

As in the gym, a bad proposal is data (an outcome), not an error. An error means that a command cannot do what it
was asked for; its message says what was found, what was expected and what to do, and the command exits with the error's
`exit_code`.
"""

from __future__ import annotations

from typing import ClassVar

from llmconfig_gym.exits import Exit


class ResearchError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code: ClassVar[Exit] = Exit.WRONG_USE


class UnknownMethod(ResearchError):
    """A method was asked for by a name or with an option that does not exist."""


class NotApplicable(ResearchError):
    """A method cannot serve a problem, and why; a benchmark reports its cells as missing, with the reason."""


class InvalidProtocol(ResearchError):
    """A protocol is none of those that there are: `full`, `metered:N` and, for benchmarks, `active:B`."""


class InvalidSettings(ResearchError):
    """The settings of a benchmark or study cannot be run: something missing, unknown or out of range."""


class BrokenPolicy(ResearchError):
    """A policy did not return one proposal per state (what a proposal holds may be anything)."""


class ResultsMismatch(ResearchError):
    """A results directory holds another benchmark's results, or damaged ones."""


class InvalidTarget(ResearchError):
    """A target's scale cannot be read, or does not fit the evidence."""


class EvidenceProblem(ResearchError):
    """A file of cheaper runs cannot be learned from as it stands."""


class StudyProblem(ResearchError):
    """A study or trial is unknown, in another state than expected, or cannot be read or written."""


class InvalidFidelity(ResearchError):
    """A fidelity is not a mapping from names to numbers or words."""


class InvalidEvidence(ResearchError):
    """Something given as evidence is not a study with a fidelity or a set of cheaper runs, or optimises otherwise."""


class MultiObjectiveStudy(ResearchError, ValueError):
    """The sampler was asked for a study of several objectives; it is a ValueError, as Optuna's own samplers raise."""


class StorageProblem(ResearchError):
    """A study's storage is locked, damaged, unreachable or of a kind that is not supported."""

    exit_code = Exit.UNAVAILABLE


class EvidenceIgnored(UserWarning):
    """A piece of evidence says nothing about this study (no run has a value, or no setting is shared)."""


class InvalidRecipe(ResearchError):
    """A recipe has an unknown key or a value out of range."""


class StepProblem(ResearchError):
    """A training step lacks what it reads, or its directory holds another run's files."""


class LockedExperiment(ResearchError):
    """Training asked for a high-fidelity experiment: those are for the final measurement only."""


class CheckpointProblem(ResearchError):
    """A model cannot be loaded as an agent: something missing, damaged or unsafe."""


class TrajectoryProblem(ResearchError):
    """A file of trajectories cannot be read."""


class EndpointProblem(ResearchError):
    """A language model's server cannot be reached, refuses, or keeps failing."""

    exit_code = Exit.UNAVAILABLE
