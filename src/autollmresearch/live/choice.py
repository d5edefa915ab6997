"""What is tried in a live study: the configuration proposed, if it is one and was not tried yet, else another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autollmresearch.live.candidates import nearest_legal
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.action import read_action
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.space import Config


def choose(
    proposal: Proposal, state: State, written: Callable[[Config], Config] = lambda config: config
) -> tuple[Proposal, Config]:
    """The configuration to try: one of the candidates, unless a language model proposed it, which has not seen them.

    What is no configuration gives way to a random candidate, what was tried to the nearest that was not.

    Args:
        written: what a configuration is once it is kept, where that rounds it.

    Returns:
        Also the proposal; if its configuration is not the one to try, it says why, and expects nothing any more.
    """
    pool, space = state.problem.pool, state.problem.space
    try:
        action = read_action(proposal.config, space)
        if isinstance(action, Outcome):
            raise InvalidConfig(action.message.removeprefix("invalid: ").rstrip("."))
        config = written(nearest_legal(space, space.check(action)))
        row, candidate = pool.find(config)
    except InvalidConfig as wrong:
        rows = state.untried()
        drawn = pool.config(int(state.rng().choice(rows if len(rows) else len(pool))))
        return _instead(proposal, f"drawn at random: what was proposed is no configuration: {wrong}"), drawn
    words = isinstance(proposal.config, str)
    if row in state.told()[0] and (candidate or not words):
        other = nearest_untried(state, space.encode(config))
        return _instead(proposal, "the nearest configuration that was not tried yet"), other
    return proposal, config if words else pool.config(row)


def _instead(proposal: Proposal, why: str) -> Proposal:
    reasoning = f"{proposal.reasoning} ({why})".strip()
    return replace(proposal, reasoning=reasoning, mean=None, sd=None, candidates=(), trends="")
