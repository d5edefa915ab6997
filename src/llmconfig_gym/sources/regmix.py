"""Pretraining data mixtures: shares of 17 sources against the validation losses on 13 of them, at three scales.

512 + 256 mixtures with 1M parameters, 256 with 60M, 64 with 1B. A single source is trivial (give it the most
weight), so the targets are the average loss and six fixed weightings of the losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from llmconfig_gym.errors import SourceFormatError
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import FloatArray, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.sources.download import Origin
from llmconfig_gym.sources.tables import read_csv, stack
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

ORIGIN = Origin("sail-sg", "regmix", "b004d3a3f39846dcec6b3740da22bcd1ba95a5d0")
FILES = {
    "data/train_mixture_1m.csv": "04a32ef4ab594376bf90e11404c033668f887c351d6a03ad3744824c7296a2d8",
    "data/train_pile_loss_1m.csv": "49a959aa07ce5c20831d5abe3a7896ff0cd90a398bd407c8913fd5588be0465a",
    "data/test_mixture_1m.csv": "197267b7d6f15367e2f46c881e564c35b0d34e51b1754bb09d07e650cf8e1ce8",
    "data/test_pile_loss_1m.csv": "e027b1674f60140a65a87b5e4a59ab5f09dc33e8fd02c080682678074b160f53",
    "data/test_mixture_60m.csv": "197267b7d6f15367e2f46c881e564c35b0d34e51b1754bb09d07e650cf8e1ce8",
    "data/test_pile_loss_60m.csv": "8fe69d59ab7dd4fae4736459f4265ec93c7ed1ad1eca407346052560edc72b5b",
    "data/test_mixture_1B.csv": "dd38052949c0a5f84165bdcb3ae3a331c7f07efd9bb83848bd579dfc4ce75a2c",
    "data/test_pile_loss_1B.csv": "b2451e2b7fa15400688edc39e4d32f21ccbe0fb356e07d62a0e9ccddf247114f",
}

DOMAINS = {
    "arxiv": "science_preprints",
    "freelaw": "court_opinions",
    "nih_exporter": "research_grant_abstracts",
    "pubmed_central": "biomedical_papers",
    "wikipedia_en": "encyclopedia",
    "dm_mathematics": "generated_math_exercises",
    "github": "code_repositories",
    "philpapers": "philosophy_papers",
    "stackexchange": "question_answer_forums",
    "enron_emails": "company_emails",
    "gutenberg_pg_19": "classic_books",
    "pile_cc": "web_pages",
    "ubuntu_irc": "technical_support_chats",
    "europarl": "parliament_proceedings",
    "hackernews": "technology_news_comments",
    "pubmed_abstracts": "biomedical_abstracts",
    "uspto_backgrounds": "patent_backgrounds",
}
"""What an agent reads for each upstream name; the order of the mixture's components."""

MEASURED = tuple(k for k in DOMAINS if k not in ("nih_exporter", "philpapers", "enron_emails", "europarl"))
"""The 13 domains whose validation loss was measured, in upstream's order."""

WEIGHTINGS = (
    (5, 8, 6, 5, 4, 7, 4, 15, 22, 3, 10, 5, 6),
    (15, 0, 1, 0, 11, 9, 12, 23, 9, 4, 9, 1, 6),
    (1, 22, 6, 4, 2, 11, 5, 6, 0, 7, 7, 7, 22),
    (14, 5, 7, 15, 1, 13, 13, 3, 2, 5, 5, 10, 7),
    (50, 1, 3, 2, 12, 3, 7, 3, 2, 1, 12, 2, 2),
    (3, 11, 1, 12, 1, 25, 4, 25, 6, 9, 0, 2, 1),
)
"""Percent given to each of the `MEASURED` domains: six draws from the flat Dirichlet distribution
(`numpy.random.RandomState(0)`), rounded to whole percents that sum to 100 (largest remainders first)."""

SCALES: tuple[tuple[str, Level, float, float, tuple[str, ...]], ...] = (
    ("1M", "low", 1e6, 1e9, ("train_{}_1m", "test_{}_1m")),
    ("60M", "medium", 6e7, 1e9, ("test_{}_60m",)),
    ("1B", "high", 1e9, 2.5e10, ("test_{}_1B",)),
)
"""Name, level, parameters, training tokens, and the tables (mixture and loss) of each scale."""

CARD = Card(
    title="RegMix, pretraining data mixtures over 17 sources at 1M, 60M and 1B parameters (1,088 runs)",
    licence="MIT",
    citation=(
        "Liu et al.: RegMix: Data Mixture as Regression for Language Model Pre-training. ICLR 2025, arXiv:2407.01492"
    ),
    url="https://github.com/sail-sg/regmix",
    maker="llmconfig_gym.sources.regmix/1",
    notes=(
        "Targets: the plain average of the 13 measured validation losses, and six weighted ones (percent, flat "
        "Dirichlet draws of a fixed seed, see WEIGHTINGS).",
        "Mixtures are told as upstream wrote them, to three decimals: they sum to .996-1.003.",
        "Mixtures and losses are joined by their index, which starts at 0 for the 1B runs and at 1 for the others.",
        "1M holds upstream's train (512) and test (256) runs in this order; the 1B mixtures occur at no other scale.",
        "Cost is 6ND FLOPs with the tokens the paper states: 1B for the 1M and 60M models, 25B for the 1B models.",
        "Noise is not known: no mixture was run twice.",
    ),
)


def make(paths: Mapping[str, Path]) -> Suite:
    """The suite `regmix`: seven families (`average`, `weighting-1` .. `-6`) at three scales, cheapest scale first.

    Raises:
        SourceFormatError: a file is not the table this was written for.
    """
    experiments = []
    for name, level, parameters, tokens, tables in SCALES:
        parts = [_read(paths[_path(t, "mixture")], paths[_path(t, "pile_loss")]) for t in tables]
        mixtures, losses = (np.concatenate(blocks) for blocks in zip(*parts, strict=True))
        pool = Pool(Space((Simplex("weights", tuple(DOMAINS.values())),)), {"weights": mixtures})
        fidelity = Fidelity({"parameters": parameters, "tokens": tokens}, 6.0 * parameters * tokens)
        details = {f"loss_{DOMAINS[k]}": losses[:, i] for i, k in enumerate(MEASURED)}
        for family, metric, weights in TARGETS:
            experiments.append(
                Experiment(
                    id=f"regmix/{name}-{family}",
                    suite="regmix",
                    task="mixture",
                    family=family,
                    level=level,
                    fidelity=fidelity,
                    metric=metric,
                    pool=pool,
                    values=losses @ weights,
                    details=details,
                )
            )
    return Suite.of("regmix", CARD, experiments)


def _path(table: str, kind: str) -> str:
    return f"data/{table.format(kind)}.csv"


def _read(mixture: Path, loss: Path) -> tuple[FloatArray, FloatArray]:
    """Mixtures [rows, 17] and losses [rows, 13], joined by index, in the mixtures' order."""
    shares = [f"train_the_pile_{k}" for k in DOMAINS]
    domains = [f"metric/the_pile_{k}_val_loss" for k in MEASURED]
    left, right = read_csv(mixture, ["index", *shares]), read_csv(loss, ["index", *domains])
    order = {index: row for row, index in enumerate(right["index"].tolist())}
    if sorted(order) != sorted(left["index"].tolist()):
        raise SourceFormatError(f"{mixture} and {loss} hold different runs; expected the same indices in both")
    rows = [order[index] for index in left["index"].tolist()]
    return stack(left, shares), stack(right, domains)[rows]


def _targets() -> list[tuple[str, Metric, FloatArray]]:
    """Family, metric and weight of each of the 13 losses."""
    details = {
        f"loss_{DOMAINS[k]}": f"validation loss on {DOMAINS[k].replace('_', ' ')}, nats per token" for k in MEASURED
    }
    held_out = "on held-out text of 13 domains, in nats per token"
    about = f"Plain average of the validation losses {held_out}. Four of the sources are not among them."
    targets = [
        ("average", Metric("average_loss", "minimize", about, details), np.full(len(MEASURED), 1 / len(MEASURED)))
    ]
    for number, percent in enumerate(WEIGHTINGS, start=1):
        terms = ", ".join(f"{DOMAINS[k]} {p}%" for k, p in zip(MEASURED, percent, strict=True) if p)
        about = f"Weighted average of the validation losses {held_out}. Weights: {terms}."
        metric = Metric("weighted_loss", "minimize", about, details)
        targets.append((f"weighting-{number}", metric, np.array(percent) / 100))
    return targets


TARGETS = _targets()
