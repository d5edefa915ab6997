"""The four tasks, in the words a researcher would use to explain them to a colleague.

Everything an agent reads about an experiment is made here: what the task is, at which fidelity, what each
parameter does and may be, what is measured. Names of data sets, benchmarks and papers never appear: a
pretrained model may remember their results. All text is plain ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.parameter import Parameter
from llmconfig_gym.text import number, value_text


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
        "Choose optimiser settings for pretraining a decoder-only language model from scratch on a fixed number "
        "of tokens. One trial is one full training run. Too small a learning rate leaves the model "
        "undertrained at the end of its token budget, too large a one makes training unstable or diverge; the batch "
        "size trades the number of updates against the noise of each. Good values move together, and they move "
        "with model size and with the number of tokens."
    ),
    parameters={
        "lr": "peak learning rate of the optimiser, reached after warm-up and decayed over the run",
        "batch_size": "number of sequences that contribute to one optimiser step; the token budget is fixed, so a "
        "larger batch means fewer steps",
        "weight_decay": "decoupled weight decay of the optimiser",
        "warmup": "share of the steps over which the learning rate rises to its peak",
        "beta2": "decay rate of the optimiser's second-moment estimate",
    },
)

ARCHITECTURE = Task(
    name="architecture",
    about=(
        "Choose the shape of a decoder-only language model for a given trade-off between quality and cost. Wider "
        "and deeper models reach a lower perplexity but are slower to run; the objective adds both, so the best "
        "model is neither the largest nor the smallest. One trial measures the quality and the cost of one "
        "architecture. Which dimension is worth its cost depends on the scale and on the weight given to cost."
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
        "Choose settings for group-relative policy optimisation of a pretrained language model on problems whose "
        "answers can be verified. One trial is one reinforcement-learning run with a fixed budget of steps or of "
        "sampled answers. Too timid settings barely move the policy; too bold ones raise the training reward for a "
        "while and then collapse: the policy drifts from the reference, entropy vanishes and held-out accuracy "
        "falls. Larger models usually want gentler updates."
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
        "Choose the mixture of training data: which share of the training tokens or examples comes from each "
        "source. One trial trains one model on one mixture. Weight given to one source is taken from the others; "
        "sources help or hurt each other, and returns diminish as a source is repeated. Rankings of mixtures found "
        "with small models carry over to large ones in part, not entirely."
    ),
    parameters={"weights": "share of each data source in the training mixture"},
)

TASKS: Mapping[str, Task] = {t.name: t for t in (ARCHITECTURE, PRETRAINING, GRPO, MIXTURE)}

_OTHER = Task("other", "Choose the configuration of an expensive experiment from what cheaper ones showed.", {})


def task_of(name: str) -> Task:
    """The task of this name; a neutral one for a task of the user's own."""
    return TASKS.get(name, _OTHER)


def describe(experiment: Experiment, budget: int | None = None) -> str:
    """Task, fidelity, parameters with their legal values, metric, details and budget, as text for an agent."""
    task, metric = task_of(experiment.task), experiment.metric
    aim = "lower is better" if metric.direction == "minimize" else "higher is better"
    lines = [
        f"Task: {task.name}. {task.about}",
        f"Fidelity: {experiment.fidelity.text()}.",
        "Parameters:",
        *(f"- {_parameter_text(p, task)}" for p in experiment.space.parameters),
        f"Metric: {metric.name}, {aim}.{' ' + metric.about if metric.about else ''}",
    ]
    if metric.details:
        lines += ["Details reported with each trial:", *(f"- {k}: {v}" for k, v in metric.details.items())]
    if budget is not None:
        lines += [f"Budget: {budget} trial{'s' if budget != 1 else ''}. An invalid or repeated proposal costs a trial."]
    return "\n".join(lines)


def _parameter_text(p: Parameter, task: Task) -> str:
    about = p.about or task.parameters.get(p.name, "")
    unit = f" ({p.unit})" if p.unit else ""
    return f"{p.name}{unit}: {about + '; ' if about else ''}legal: {p.legal()}"


def describe_outcome(experiment: Experiment, outcome: Outcome, trials_left: int | None = None) -> str:
    """One outcome as text for an agent: what was told, the value with its details, and how many trials are left."""
    parts = [outcome.message] if outcome.message else []
    if outcome.value is not None:
        told = ", ".join(f"{k} {value_text(v)}" for k, v in (outcome.config or {}).items())
        parts.append(f"{experiment.metric.name} {number(outcome.value, digits=5)} at {told}.")
    if outcome.details:
        parts.append("Details: " + ", ".join(f"{k} {number(v, digits=4)}" for k, v in outcome.details.items()) + ".")
    if trials_left is not None:
        parts.append(f"{trials_left} trial{'s' if trials_left != 1 else ''} left.")
    return " ".join(parts)
