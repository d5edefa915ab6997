"""A method of your own in the benchmark: anything with `propose(states)`, which sees the problem and the trials so far.

autollmresearch benchmark --suite micro --protocol metered:10 --budget 3 --seeds 5 \
    --methods copy,analyst,python:examples/my_method.py:Neighbour --out runs/mine
"""

from autollmresearch.policy import Proposal, nearest_untried


class Neighbour:
    """Goes to the untried configuration that is nearest to the best run of all, cheap or expensive."""

    def propose(self, states):
        return [Proposal(self.choose(state), "nearest to the best run so far") for state in states]

    def choose(self, state):
        problem, (rows, losses) = state.problem, state.told()
        known = [(runs.losses.min(), runs.encoded_in(problem.space)[runs.losses.argmin()]) for runs in problem.cheaper]
        known += [(loss, problem.pool.encoded[row]) for row, loss in zip(rows, losses, strict=True)]
        point = min(known, key=lambda k: k[0])[1] if known else problem.pool.encoded[0]
        return nearest_untried(state, point)
