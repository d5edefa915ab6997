"""The four tasks, in the words a researcher would use to explain them to a colleague.

Everything an agent reads about an experiment is made here: what the task is, at which fidelity, what each
parameter does and may be, what is measured. Names of data sets, benchmarks and papers never appear: a
pretrained model may remember their results. All text is plain ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmconfig_gym.experiment import Experiment, Metric, Outcome
from llmconfig_gym.parameter import Parameter
from llmconfig_gym.space import Space
from llmconfig_gym.text import number


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Attributes:
        name: `architecture`, `pretraining`, `grpo` or `mixture`.
        about: what is decided, why it is hard, and what usually moves with scale.
        parameters: for the usual parameters of this task, what each one does. A parameter's own text
            (`Parameter.about`) comes first; this is what is said where it has none.
    """

    name: str
    about: str
    parameters: Mapping[str, str]


PRETRAINING = Task(
    name="pretraining",
    about=(
        "Choose optimiser settings for pretraining a language model on a fixed number of tokens. One trial is one "
        "full run. Too small a learning rate undertrains, too large a one diverges; a larger batch means fewer steps. "
        "Good values move together, and with model size and tokens."
    ),
    parameters={
        "lr": "peak learning rate",
        "batch_size": "sequences per optimiser step",
        "weight_decay": "decoupled weight decay of the optimiser",
        "warmup": "share of the steps over which the learning rate rises to its peak",
        "beta2": "decay rate of the optimiser's second-moment estimate",
    },
)

ARCHITECTURE = Task(
    name="architecture",
    about=(
        "Choose the shape of a language model for a trade-off between quality and cost. One trial measures one "
        "architecture. Wider and deeper models are better but slower, and the objective adds both, so the best is "
        "neither the largest nor the smallest. Which dimension is worth its cost depends on the scale."
    ),
    parameters={
        "embed_dim": "width of the residual stream, shared by all layers",
        "width": "width of the residual stream, shared by all layers",
        "layers": "number of transformer blocks",
        "heads": "number of attention heads per block",
        "mlp_ratio": "width of the feed-forward layer as a multiple of the residual width",
        "bias": "whether linear layers and normalisations have bias terms",
    },
)

GRPO = Task(
    name="grpo",
    about=(
        "Choose settings for group-relative policy optimisation of a pretrained language model on problems with "
        "verifiable answers. One trial is one full run. Too timid settings barely move the policy; too bold ones "
        "raise the training reward for a while and then collapse. Larger models usually want gentler updates."
    ),
    parameters={
        "lr": "learning rate of the policy",
        "prompts_per_step": "number of different prompts whose answers contribute to one policy update",
        "kl_coefficient": "weight of the penalty on the divergence from the reference policy",
        "group_size": "number of answers sampled per prompt; their mean reward is the baseline",
        "clip_range": "how far the probability ratio of an update may move before its gradient is cut",
        "temperature": "sampling temperature of the training answers",
    },
)

MIXTURE = Task(
    name="mixture",
    about=(
        "Choose the mixture of training data: the share of each source. One trial trains one model on one mixture. "
        "Weight given to one source is taken from the others, and returns diminish as a source is repeated. Rankings "
        "found with small models carry over to large ones in part, not entirely."
    ),
    parameters={"weights": "share of each data source in the training mixture"},
)

TASKS: Mapping[str, Task] = {t.name: t for t in (ARCHITECTURE, PRETRAINING, GRPO, MIXTURE)}
"""The four tasks by name."""

_OTHER = Task("other", "Choose the configuration of an expensive experiment from what cheaper ones showed.", {})


def task_of(name: str) -> Task:
    """The task of this name; a neutral one for a task of the user's own."""
    return TASKS.get(name, _OTHER)


def describe(experiment: Experiment, budget: int | None = None) -> str:
    """Task, fidelity, parameters with their legal values, metric, details and budget, as text for an agent."""
    task, metric = task_of(experiment.task), experiment.metric
    lines = [
        describe_task(task),
        f"Fidelity: {experiment.fidelity.text()}.",
        "Parameters:",
        *(f"- {line}" for line in describe_space(task, experiment.space)),
        describe_metric(metric),
    ]
    if metric.details:
        lines += ["Details reported with each trial:", *(f"- {k}: {v}" for k, v in metric.details.items())]
    if budget is not None:
        lines += [f"Budget: {trials(budget)}. An invalid or repeated proposal costs a trial."]
    return "\n".join(lines)


def describe_task(task: Task) -> str:
    """What is decided, and why it is hard."""
    return f"Task: {task.name}. {task.about}"


def describe_space(task: Task, space: Space) -> list[str]:
    """One line per parameter: what it does and which values are legal."""
    return [_parameter_text(p, task) for p in space.parameters]


def describe_metric(metric: Metric) -> str:
    """What is measured, and which direction is better."""
    aim = "lower is better" if metric.direction == "minimize" else "higher is better"
    return f"Metric: {metric.name}, {aim}.{' ' + metric.about if metric.about else ''}"


def describe_outcome(metric: Metric, outcome: Outcome, trials_left: int | None = None) -> str:
    """One outcome as text for an agent: the value with its details, and how many trials are left.

    The configuration is named only where another was told than the one proposed (`Outcome.message`).
    """
    parts = [outcome.message] if outcome.message else []
    if outcome.value is not None:
        parts.append(f"{metric.name} {number(outcome.value, digits=5)}.")
    if outcome.details:
        parts.append("Details: " + ", ".join(f"{k} {number(v, digits=4)}" for k, v in outcome.details.items()) + ".")
    if trials_left is not None:
        parts.append(f"{trials(trials_left)} left.")
    return " ".join(parts)


def trials(count: int) -> str:
    """`1 trial`, `5 trials`."""
    return f"{count} trial{'s' if count != 1 else ''}"


def _parameter_text(p: Parameter, task: Task) -> str:
    about = p.about or task.parameters.get(p.name, "")
    unit = f" ({p.unit})" if p.unit else ""
    return f"{p.name}{unit}: {about + '; ' if about else ''}legal: {p.legal()}"
