"""A method of your own in the benchmark: anything with `propose(states)`, which sees the problem and the trials so far.

autollmresearch benchmark --suite micro --protocol metered:10 --budget 3 --seeds 5 \
    --methods copy,analyst,python:examples/my_method.py:Neighbour --out runs/mine
"""

from autollmresearch.policy import Proposal, nearest_untried


class Neighbour:  # goes to the untried configuration that is nearest to the best run of all, cheap or expensive
    def propose(self, states):
        return [Proposal(self.choose(state), "nearest to the best run so far") for state in states]

    def choose(self, state):
        points = state.problem.pool.encoded
        cheap = [(r.losses.min(), r.encoded_in(state.problem.space)[r.losses.argmin()]) for r in state.problem.cheaper]
        told = [(loss, points[row]) for row, loss in zip(*state.told(), strict=True)]
        return nearest_untried(state, min(cheap + told, key=lambda run: run[0], default=(0, points[0]))[1])
