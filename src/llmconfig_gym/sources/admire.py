"""Instruction-tuning mixtures: shares of 19 sources against 17 benchmark scores, for three sizes of one base model.

460 runs. At the largest scale most single benchmarks are evaluation noise; the four targets are those with signal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import FloatArray, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.sources.download import Origin
from llmconfig_gym.sources.tables import read_csv, stack
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

ORIGIN = Origin("xo28", "ADMIRE-BayesOpt", "dc177953300b89676695552a0f5f10dc0ae6f82d")
TABLE = "admire_ift_runs/admire_ift_runs.csv"
FILES = {TABLE: "703b061d36203c297b311c1d03adcb46a9497a2fc1b3e86f81a55b047a205686"}

MODELS: tuple[tuple[str, str, Level, float], ...] = (
    ("Qwen2.5-0.5B", "0.5B", "low", 0.5e9),
    ("Qwen2.5-3B", "3B", "medium", 3e9),
    ("Qwen2.5-7B", "7B", "high", 7e9),
)
"""Upstream's name, ours, level, and nominal parameters."""

COMPONENTS = {
    "coconot_converted": "requests_to_decline",
    "evol_codealpaca_heval_decontaminated": "evolved_code_instructions",
    "flan_v2_converted": "classic_language_tasks",
    "no_robots_converted": "human_written_instructions",
    "numinamath_tir_math_decontaminated": "math_solved_with_code",
    "oasst1_converted": "volunteer_conversations",
    "personahub_code_v2_34999": "synthetic_code_problems",
    "personahub_ifdata_manual_seed_v3_29980": "synthetic_precise_instructions",
    "personahub_math_v5_regen_149960": "synthetic_math_problems",
    "tulu_hard_coded_repeated_10": "assistant_identity_answers",
    "tulu_v3.9_aya_100k": "multilingual_instructions",
    "tulu_v3.9_open_math_2_gsm8k_50k": "math_word_problem_solutions",
    "tulu_v3.9_personahub_math_interm_algebra_20k": "synthetic_algebra_problems",
    "tulu_v3.9_sciriff_10k": "scientific_literature_tasks",
    "tulu_v3.9_synthetic_finalresp_wildguardmixtrain_decontaminated_50k": "safe_answers_to_harmful_requests",
    "tulu_v3.9_table_gpt_5k": "table_tasks",
    "tulu_v3.9_wildchat_100k": "real_user_conversations",
    "tulu_v3.9_wildjailbreak_decontaminated_50k": "adversarial_safety_prompts",
    "tulu-3-sft-personas-math-grade": "synthetic_grade_school_math",
}
"""What an agent reads for each upstream ratio; the order of the mixture's components."""


@dataclass(frozen=True)
class Benchmark:
    """One score between 0 and 1: upstream's column, our name for it, its test items, and what it asks."""

    column: str
    name: str
    items: int
    about: str


BENCHMARKS = (
    Benchmark("minerva_math::tulu", "competition_math", 5000, "competition mathematics, exact answers"),
    Benchmark("gsm8k::tulu", "math_word_problems", 1319, "grade-school word problems, exact answers"),
    Benchmark("bbh:cot-v1::tulu", "hard_reasoning", 6511, "hard reasoning puzzles with worked examples"),
    Benchmark("mmlu:cot::summarize", "exam_questions", 14042, "multiple-choice exams of many subjects"),
    Benchmark("codex_humaneval::tulu", "code_generation", 164, "short programs that pass tests, several attempts"),
    Benchmark("codex_humanevalplus::tulu", "code_generation_strict", 164, "the same programs under more tests"),
    Benchmark("drop::llama3", "reading_with_arithmetic", 9536, "questions on a passage that need counting"),
    Benchmark("ifeval::tulu", "instruction_following", 541, "answers that obey verifiable instructions"),
    Benchmark("popqa::tulu", "rare_facts", 14267, "questions about little-known entities"),
    Benchmark("truthfulqa::tulu", "truthfulness", 817, "true answers preferred to common misconceptions"),
    Benchmark("arc_challenge:rc::tulu", "science_questions", 1172, "school science questions"),
    Benchmark("bigcodebench_hard::tulu", "practical_code", 148, "practical programs with libraries"),
    Benchmark("gpqa:0shot_cot::tulu3", "graduate_science", 448, "graduate-level science, multiple choice"),
    Benchmark("naturalqs::tulu", "search_questions", 3610, "short answers to search queries"),
    Benchmark("piqa:mc::tulu", "physical_commonsense", 1838, "everyday physical reasoning"),
    Benchmark("socialiqa:mc::tulu", "social_commonsense", 1954, "reasoning about people in social situations"),
    Benchmark("triviaqa::tulu", "trivia", 7993, "trivia questions, short answers"),
)
"""In upstream's order: the first ten were watched while the recipe was developed ("in domain"), the rest held out."""

IN_DOMAIN = 10

CARD = Card(
    title="ADMIRE IFT runs, instruction-tuning mixtures of 19 sources for Qwen2.5 0.5B, 3B and 7B (460 runs)",
    licence="CC BY-NC-SA 4.0 (non-commercial, share alike)",
    citation=(
        "Chen, Ouyang, Pearce, Hartvigsen, Schwarz: ADMIRE-BayesOpt: Accelerated Data MIxture RE-weighting for "
        "Language Models with Bayesian Optimization. arXiv:2508.11551, 2025"
    ),
    url="https://github.com/xo28/ADMIRE-BayesOpt",
    maker="llmconfig_gym.sources.admire/1",
    notes=(
        "Targets: ifeval, truthfulqa, the average of the ten in-domain benchmarks and the average of all 17.",
        "Averages are recomputed from the benchmarks: upstream's 'metric_avg_id+ood' is wrong in 3 rows at 0.5B "
        "(10, 99, 172 from 0).",
        "'train_time' looks imputed and is not used. Cost is proportional to the nominal parameters (0.5B = 1): the "
        "number of training tokens is not recorded.",
        "Mixtures are told as upstream wrote them (sums .9994-1.0006); 'tulu_hard_coded' is at most 0.0012 everywhere. "
        "The 7B mixtures are among the 3B ones, those among the 0.5B ones.",
        "Noise: binomial standard error sqrt(p(1-p)/items) of each benchmark, averaged over the table's rows; of an "
        "average of k benchmarks the root of the summed squares over k. For graded scores (F1, probabilities, several "
        "attempts) that is an upper bound. Runs share test items, so differences between runs are less noisy than "
        "this; noise of training is not in it.",
    ),
)


def _targets() -> list[tuple[str, Metric, list[int]]]:
    """Id and family, metric, and the benchmarks that are averaged."""
    names = [f"score_{b.name}" for b in BENCHMARKS]
    details = {n: f"{b.about}; between 0 and 1" for n, b in zip(names, BENCHMARKS, strict=True)}
    columns = [b.column for b in BENCHMARKS]
    single = {
        "ifeval": (
            "instruction_following_accuracy",
            "Share of 541 prompts with verifiable instructions (length, format, keywords) of which the tuned model "
            "obeys every one. Judged by programs.",
        ),
        "truthfulqa": (
            "truthfulness_score",
            "Mean probability the tuned model gives to true rather than false answers, over 817 questions that invite "
            "common misconceptions.",
        ),
    }
    targets = []
    for key, (name, about) in single.items():
        index = columns.index(f"{key}::tulu")
        others = {n: text for n, text in details.items() if n != names[index]}
        targets.append((key, Metric(name, "maximize", about, others), [index]))
    for key, name, about, members in (
        ("avg-id", "average_score_in_domain", "ten benchmarks of mathematics, code, knowledge, reasoning, ", IN_DOMAIN),
        ("average", "average_score", "seventeen benchmarks of mathematics, code, knowledge, reasoning, ", len(names)),
    ):
        text = f"Plain average of {about}instruction following and truthfulness, each between 0 and 1."
        if members == IN_DOMAIN:
            text += " They are: " + ", ".join(names[:IN_DOMAIN]) + "."
        targets.append((key, Metric(name, "maximize", text, details), list(range(members))))
    return targets


TARGETS = _targets()


def noise(scores: FloatArray, members: Sequence[int]) -> float:
    """Standard error of the mean of some benchmarks' scores, from the numbers of their test items.

    Args:
        scores: [rows, 17] scores between 0 and 1.
        members: the benchmarks that are averaged.
    """
    items = np.array([b.items for b in BENCHMARKS], dtype=np.float64)
    variance = np.mean(scores * (1 - scores), axis=0) / items
    return float(np.sqrt(variance[list(members)].sum()) / len(members))


def make(paths: Mapping[str, Path]) -> Suite:
    """The suite `admire`: four families (`ifeval`, `truthfulqa`, `avg-id`, `average`) at three scales.

    Raises:
        SourceFormatError: the file is not the table this was written for.
    """
    ratios = [f"ratio_{k}" for k in COMPONENTS]
    metrics = [f"metric_{b.column}" for b in BENCHMARKS]
    table = read_csv(paths[TABLE], [*ratios, *metrics], ["model"])
    mixtures, scores = stack(table, ratios), stack(table, metrics)
    space = Space((Simplex("weights", tuple(COMPONENTS.values()), about=ABOUT),))
    experiments = []
    for model, name, level, parameters in MODELS:
        rows = table["model"] == model
        pool, measured = Pool(space, {"weights": mixtures[rows]}), scores[rows]
        columns = {f"score_{b.name}": measured[:, i] for i, b in enumerate(BENCHMARKS)}
        for family, metric, members in TARGETS:
            experiments.append(
                Experiment(
                    id=f"admire/{name}-{family}",
                    suite="admire",
                    task="mixture",
                    family=family,
                    level=level,
                    fidelity=Fidelity({"parameters": parameters}, parameters / MODELS[0][3], "relative cost"),
                    metric=metric,
                    pool=pool,
                    values=measured[:, members].mean(axis=1),
                    details={k: columns[k] for k in metric.details},
                    noise=noise(measured, members),
                )
            )
    return Suite.of("admire", CARD, experiments)


ABOUT = (
    "share of each data source among the examples on which a pretrained model is tuned to follow instructions; "
    "synthetic sources were written by language models"
)
