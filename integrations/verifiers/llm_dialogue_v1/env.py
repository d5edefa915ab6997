"""The environment: the experiment plays the user's part in a conversation with the agent."""

import verifiers.v1 as vf

from llm_dialogue_v1.taskset import DialogueTask


class DialogueRunConfig(vf.EnvConfig):
    """Who plays. The agent needs no tools, and must have none: with a shell it could read the tables."""

    agent: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime=vf.SubprocessConfig(), network_notice=False)


class DialogueRun(vf.Env[DialogueRunConfig]):
    """One episode: the agent answers, reads what came of it, and answers again until the budget is spent."""

    async def run(self, task: DialogueTask, agents: vf.Agents) -> None:
        """Each answer's outcome and reward are kept in the trace's `info["turns"]`."""
        env, _ = task.open()
        async with agents.agent.interaction(task) as interaction:
            turns = interaction.trace.info["turns"] = []
            segment = await interaction.turn()
            while not segment.terminated:
                text, reward, over, _, info = env.step(segment.last_reply)
                turns.append({"outcome": info["outcome"], "reward": float(reward)})
                if over:
                    break
                segment = await interaction.turn(text)
