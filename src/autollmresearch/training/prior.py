"""Prior: before any real table, a model learns from an expert's episodes on drawn landscapes.

It learns what the dialogue looks like, to read numbers, and how good configurations change with fidelity in general:
unlimited cheap-to-expensive practice. From nothing (or a model that exists) to RUN/prior/checkpoint, with the rows it
learned from in RUN/prior/rows.

Rows are token ids in shards. Each depends on the settings, the tokenizer and the seed alone, so an interrupted run goes
on with the next shard, and the number of workers changes nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autollmresearch.dialogue import Messages, Style
from autollmresearch.policies.chat import Chat
from autollmresearch.training.expert import ExpertSettings, play
from autollmresearch.training.landscapes import Landscape, LandscapeSettings, landscape, training_seed
from autollmresearch.training.processes import process_count
from autollmresearch.training.sft import CHECKPOINT, SftSettings, fine_tune
from autollmresearch.training.unlocked import suite_files
from llmconfig_gym.description import require
from llmconfig_gym.files import whole_directory, whole_file

if TYPE_CHECKING:
    import datasets

    from autollmresearch.training.recipe import Recipe

ROWS = "rows"
TOKENIZER = "tokenizer"


@dataclass(frozen=True)
class Hidden:
    """In which shares of the episodes something of the agent's style is not shown, so that it can do without.

    Attributes:
        evidence: the analyst's evidence.
        demonstrations: the best runs of cheaper experiments.
        fidelity: at which fidelity the experiments are, and with it the evidence, which rests on it.
    """

    evidence: float = 0.0
    demonstrations: float = 0.0
    fidelity: float = 0.0

    def __post_init__(self) -> None:
        for name in ("evidence", "demonstrations", "fidelity"):
            require(0 <= getattr(self, name) <= 1, f"{name} is in [0, 1]", getattr(self, name))

    def draw(self, style: Style, rng: np.random.Generator) -> Style:
        """The style of one episode."""
        evidence, demonstrations, fidelity = rng.random(3) < (self.evidence, self.demonstrations, self.fidelity)
        if evidence or fidelity:
            style = replace(style, evidence=False, fidelity=style.fidelity and not fidelity)
        return replace(style, top=0) if demonstrations else style


@dataclass(frozen=True)
class PriorSettings:
    """How the prior is learned.

    Attributes:
        episodes: rows, one landscape each.
        shard: rows of one file.
        texts: episodes that a tokenizer from scratch is trained on.
        workers: processes that make rows; no number depends on it.
        hidden: what some episodes do not show.
        leave_out: kinds of landscapes that neither this step nor `reinforce` learns from; rows of them are made: runs
            that differ in this alone can share theirs.
        landscapes: what is drawn.
        expert: how it is played.
        sft: the fine-tuning.
    """

    episodes: int = 100_000
    shard: int = 2000
    texts: int = 2000
    workers: int = 1
    hidden: Hidden = field(default_factory=Hidden)
    leave_out: tuple[str, ...] = ()
    landscapes: LandscapeSettings = field(default_factory=LandscapeSettings)
    expert: ExpertSettings = field(default_factory=ExpertSettings)
    sft: SftSettings = field(default_factory=SftSettings)

    def __post_init__(self) -> None:
        for name in ("episodes", "shard", "texts", "workers"):
            require(getattr(self, name) >= 1, f"{name} is at least 1", getattr(self, name))
        left = set(self.landscapes.kinds) - set(self.leave_out)
        fits = left and set(self.leave_out) <= set(self.landscapes.kinds)
        require(fits, "leave_out names some of the kinds that are drawn, not all", self.leave_out)

    @property
    def learned(self) -> LandscapeSettings:
        """What is drawn, without what is left out."""
        kinds = {kind: weight for kind, weight in self.landscapes.kinds.items() if kind not in self.leave_out}
        return replace(self.landscapes, kinds=kinds)


def prior(recipe: Recipe, run: Path, *, rows_of: Path | None = None, progress: bool = True) -> None:
    """Make rows and learn from them.

    Args:
        rows_of: another run, whose recipe differs in `leave_out` alone, to share the rows and the tokenizer of.

    Raises:
        StepProblem: no row is short enough, or the directory holds another run's files.
        CheckpointProblem: the recipe's model cannot be loaded.
    """
    from autollmresearch.training.scratch import load_model, make_model
    from autollmresearch.training.step import run_step

    settings, style = recipe.prior, recipe.agent.style

    def work(out: Path) -> dict[str, Any]:
        made = rows_of / "prior" if rows_of else out
        with _first_process():
            if recipe.model.path:
                model, tokenizer = load_model(recipe.model)
                if not (made / TOKENIZER).is_dir():
                    with whole_directory(made / TOKENIZER) as temporary:
                        tokenizer.save_pretrained(temporary)
            else:
                tokenizer = scratch_tokenizer(recipe, made / TOKENIZER)
                model = make_model(recipe.model, tokenizer, recipe.seed)
            rows = make_rows(settings, style, made, recipe.seed, progress=progress)
        result = fine_tune(
            model, tokenizer, rows, settings.sft, out, seed=recipe.seed, title="prior", progress=progress
        )
        recipe.agent.save(out / CHECKPOINT)
        return {"episodes": settings.episodes, "parameters": int(model.num_parameters()), **asdict(result)}

    decides = asdict(settings)
    del decides["workers"]
    made_of = {"model": asdict(recipe.model), "style": asdict(style), "prior": decides}
    read = suite_files(dict.fromkeys((*recipe.model.suites, *settings.landscapes.suites)))
    if recipe.model.path and Path(recipe.model.path).is_dir():
        read["model"] = Path(recipe.model.path)
    run_step(run, "prior", work, settings=made_of, inputs=read, seed=recipe.seed)


def episode(settings: PriorSettings, style: Style, seed: int, index: int) -> tuple[Messages, list[bool]]:
    """The `index`-th episode: its conversation, and for each answer whether it is learned from."""
    drawn = training_seed(seed, index)
    return _played(settings, style, drawn, landscape(drawn, settings.landscapes))


def _played(settings: PriorSettings, style: Style, drawn: int, on: Landscape) -> tuple[Messages, list[bool]]:
    """The expert's episode on the landscape of the seed `drawn`."""
    style = settings.hidden.draw(style, np.random.default_rng([2718, drawn]))
    return play(on, style, settings.expert, np.random.default_rng([314, drawn]))


def scratch_tokenizer(recipe: Recipe, path: Path) -> Any:
    """The tokenizer of a model from scratch, made once and kept at `path`."""
    from transformers import AutoTokenizer

    from autollmresearch.training.scratch import make_tokenizer, suite_texts

    if not path.is_dir():
        played = [episode(recipe.prior, recipe.agent.style, recipe.seed, i)[0] for i in range(recipe.prior.texts)]
        texts = ["\n".join(m["content"] for m in messages) for messages in played]
        real = suite_texts(recipe.model.suites, recipe.agent.style)
        with whole_directory(path) as temporary:
            make_tokenizer(texts, recipe.model, real).save_pretrained(temporary)
    return AutoTokenizer.from_pretrained(path)


def make_rows(
    settings: PriorSettings, style: Style, out: Path, seed: int, *, progress: bool = True
) -> datasets.Dataset:
    """Rows of the episodes, in order, encoded with the tokenizer at `out/tokenizer`; all are kept in `out/rows`."""
    import datasets
    from joblib import Parallel, delayed
    from tqdm import tqdm

    (out / ROWS).mkdir(exist_ok=True)
    starts = range(0, settings.episodes, settings.shard)
    paths = [out / ROWS / f"{start // settings.shard:05d}.arrow" for start in starts]
    bounds = [(start, min(start + settings.shard, settings.episodes)) for start in starts]
    missing = [(path, *bound) for path, bound in zip(paths, bounds, strict=True) if not path.is_file()]
    jobs = (delayed(_write_shard)(settings, style, out / TOKENIZER, seed, *job) for job in missing)
    workers = min(settings.workers, max(1, len(missing)))
    with tqdm(total=settings.episodes, desc="episodes", unit="episode", disable=not progress) as bar:
        bar.update(settings.episodes - sum(b - a for _, a, b in missing))
        for made in Parallel(n_jobs=workers, return_as="generator")(jobs):
            bar.update(made)
    rows = datasets.concatenate_datasets([datasets.Dataset.from_file(str(path)) for path in paths])
    if settings.leave_out:
        rows = rows.select([i for i, kind in enumerate(rows["kind"]) if kind not in settings.leave_out])
    return rows.remove_columns("kind")


def _write_shard(
    settings: PriorSettings, style: Style, tokenizer: Path, seed: int, path: Path, first: int, last: int
) -> int:
    """Rows `first` to `last` (not included) as an Arrow file with columns `input_ids`, `assistant_masks`, `kind`."""
    import pyarrow
    from transformers import AutoTokenizer

    chat = Chat(AutoTokenizer.from_pretrained(tokenizer))
    rows, kinds = [], []
    for drawn in (training_seed(seed, index) for index in range(first, last)):
        on = landscape(drawn, settings.landscapes)
        rows.append(chat.encode(*_played(settings, style, drawn, on)))
        kinds.append(on.experiment.family)
    columns = {
        "kind": pyarrow.array(kinds),
        "input_ids": pyarrow.array([r.ids for r in rows], pyarrow.list_(pyarrow.int32())),
        "assistant_masks": pyarrow.array([r.own for r in rows], pyarrow.list_(pyarrow.bool_())),
    }
    table = pyarrow.table(columns)
    with whole_file(path) as temporary, pyarrow.ipc.new_stream(temporary, table.schema) as stream:
        stream.write_table(table)
    return len(rows)


def _first_process() -> Any:
    """Where a launcher started several processes, lets the first make the files and the others find them."""
    if process_count() == 1:
        return nullcontext()
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.accelerator.is_available()).main_process_first()
