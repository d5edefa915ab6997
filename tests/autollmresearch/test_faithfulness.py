"""Faithfulness: what is counted, what counts as true, and that the expert's own thoughts are."""

from __future__ import annotations

import numpy as np
import pytest

from autollmresearch.dialogue import Style, reasoning
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.faithfulness import Faithfulness, faithfulness, of_thought
from autollmresearch.policy import Proposal
from autollmresearch.training.expert import ExpertSettings, play
from autollmresearch.training.landscapes import LandscapeSettings, landscape
from llmconfig_gym.experiment import Outcome

READ = "lr legal: 1.0e-3, 2.0e-3, 4.0e-3, 8.0e-3\nlr 8.0e-3, batch_size 64: 2.5"
TRUE = "From tokens 8.0e-3 to 4.0e-3 the best lr fell from 8.0e-3 to 4.0e-3: lower, 2.0e-3; batch_size stayed 64: keep."


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        (TRUE, Faithfulness(6, 6, 3, 3)),
        (TRUE.replace("batch_size stayed 64", "batch_size stayed 32"), Faithfulness(6, 5, 3, 2)),
        (TRUE.replace("fell", "rose"), Faithfulness(6, 6, 3, 2)),
        (TRUE.replace(": lower, 2.0e-3", ": higher, 2.0e-3"), Faithfulness(6, 6, 3, 2)),
        (TRUE.replace(": lower, 2.0e-3", ": lower, 1.0e-3"), Faithfulness(6, 6, 3, 2)),  # not what it then proposed
        (TRUE.replace(": lower, 2.0e-3", ": keep"), Faithfulness(5, 5, 3, 2)),
        ("Candidate 3 is expected at 2.5 +- 0.7. Best so far is trial 9.", Faithfulness(2, 1, 0, 0)),
        ("", Faithfulness()),
    ],
)
def test_numbers_and_claims(thought: str, expected: Faithfulness) -> None:
    assert of_thought(thought, READ, {"lr": 2e-3, "batch_size": 64}) == expected


def test_words_and_shares() -> None:
    config = {"bias": True, "weights": {"web": 0.3, "code": 0.0, "books": 0.7}}
    said = (
        "At parameters 1.0 the best run had bias false: change to true; web none: higher, 0.3; code 0.3: lower, none."
    )
    assert of_thought(said, "1.0 0.3", config) == Faithfulness(3, 3, 3, 3)
    assert of_thought("bias true: change to true; code 0.3: keep; web 0.2: lower, 0.3.", "", config).hold == 0


def test_an_answer_without_a_configuration_claims_nothing() -> None:
    said = Proposal(f"<think>{TRUE}</think>", TRUE, prompt=READ)
    played = Trajectory("x", 1, 0, (Turn(said, Outcome("invalid"), 0.0, 0.0),))
    assert faithfulness([played]) == Faithfulness(6, 6, 0, 0)
    silent = Trajectory("x", 1, 0, (Turn(Proposal({"lr": 1.0}, "Anything 7."), Outcome("measured"), 0.0, 0.0),))
    assert faithfulness([silent, silent]) == Faithfulness(), "who read nothing quotes nothing"


def test_the_expert_is_faithful() -> None:
    total = Faithfulness()
    for seed in range(60):
        style = Style(evidence=seed % 4 == 0)
        messages, _ = play(landscape(seed, LandscapeSettings()), style, ExpertSettings(), np.random.default_rng(seed))
        turns = tuple(
            Turn(Proposal(a["content"], reasoning(a["content"]), prompt=q["content"]),
                 Outcome("measured"), 0.0, 0.0)
            for q, a in zip(messages[::2], messages[1::2], strict=True)
        )  # fmt: skip
        total += faithfulness([Trajectory("x", len(turns), 0, turns)])
    assert total.read == total.numbers > 500
    assert total.hold == total.claims > 300
    assert str(total).endswith(f"directions hold 100.0% of {total.claims}")
