"""The taskset: one task per target that may be trained on and seed."""

from collections.abc import Iterator

import verifiers.v1 as vf

from autollmresearch.adapters.dialogue_env import DialogueEnv
from autollmresearch.adapters.rows import episode_rows
from autollmresearch.dialogue import action
from llmconfig_gym.catalog import load_experiment


class DialogueData(vf.TaskData):
    """One episode; the prompt is what the agent reads first."""

    experiment: str
    seed: int
    protocol: str
    budget: int
    evidence: bool


class DialogueTask(vf.Task[DialogueData]):
    """How an episode is opened, scored and checked."""

    def open(self) -> tuple[DialogueEnv, str]:
        """The environment at the start of this episode, and what is read first."""
        d = self.data
        env = DialogueEnv(d.experiment, d.protocol, d.budget, d.evidence)
        return env, env.reset(seed=d.seed)[0]

    @vf.reward(weight=1.0)
    async def earned(self, trace: vf.Trace) -> float:
        """The rewards of the trials; a trial that was not made earns nothing."""
        return float(sum(turn["reward"] for turn in trace.info.get("turns", ())))

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the best configuration of the table earns all that a trial can, and the budget ends the episode."""
        target = load_experiment(self.data.experiment)
        best = action(target.pool.config(int(target.losses.argmin())))
        env, text = self.open()
        played = [env.step(best) for _ in range(self.data.budget)]
        earned = sum(float(reward) for _, reward, *_ in played)
        over = [done for _, _, done, *_ in played]
        return (
            text == self.data.prompt and abs(earned * self.data.budget - 1) < 1e-9 and over.index(True) == len(over) - 1
        )


class DialogueConfig(vf.TasksetConfig):
    """Which episodes."""

    suite: str = "micro"
    """A suite's name or path; its medium experiments are the targets, high ones are kept for the final measurement."""
    seeds: int = 8
    """Episodes per target; each is shown other outcomes of cheaper runs (`metered:N`)."""
    protocol: str = "metered:10"
    """What is known of the cheaper experiments: `full` or `metered:N`."""
    budget: int = 3
    """Trials per episode."""
    evidence: bool = False
    """Whether the analyst's evidence is shown."""


class DialogueTaskset(vf.Taskset[DialogueTask, DialogueConfig]):
    """All episodes, cheapest target first."""

    def load(self) -> Iterator[DialogueTask]:
        c = self.config
        for row in episode_rows(c.suite, c.seeds):
            data = DialogueData(**row, protocol=c.protocol, budget=c.budget, evidence=c.evidence)
            task = DialogueTask(data, c.task)
            yield task.with_data(name=f"{row['experiment']}#{row['seed']}", prompt=task.open()[1])
