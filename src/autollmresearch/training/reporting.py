"""What a trainer says while it trains: lines of `metrics.jsonl`, and one progress bar on standard error.

Importing this module imports transformers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    TensorBoardCallback,
    get_available_reporting_integrations,
)

from autollmresearch.errors import InvalidRecipe
from autollmresearch.policies.pretrained import quiet
from llmconfig_gym.files import write_text


def check_reporter(name: str) -> None:
    """Refuse a `report_to` that transformers does not know, or whose package is missing. Raises `InvalidRecipe`."""
    if name not in ("none", *INTEGRATION_TO_CALLBACK):
        raise InvalidRecipe(f"report_to is none, {', '.join(sorted(INTEGRATION_TO_CALLBACK))}; found {name!r}")
    known = get_available_reporting_integrations()  # type: ignore[no-untyped-call]
    if name != "none" and name not in known:
        raise InvalidRecipe(f"report_to {name} needs its package, which is not installed; install it, or say none")


@contextmanager
def report(trainer: Trainer, metrics: Path, title: str, *, progress: bool) -> Iterator[None]:
    """A trainer that trains meanwhile writes `metrics`, and shows a bar if `progress`; nothing on standard output."""
    quiet()
    for own in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(own)
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(metrics.parent / "tensorboard")  # its own default goes when the step is finished
    trainer.add_callback(MetricsFile(metrics))
    bar = Bar(title)
    if progress:
        trainer.add_callback(bar)
    try:
        yield
    finally:
        bar.close()  # after Ctrl-C no callback is told of an end


class MetricsFile(TrainerCallback):
    """One JSON line per logged update. A run that goes on cuts off the lines after the checkpoint it goes on from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        kept = [m for m in read_metrics(self.path) if m["step"] <= state.global_step] if state.global_step else []
        write_text(self.path, "".join(json.dumps(m) + "\n" for m in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:  # a summary of this process alone
            return
        told = {k: v for k, v in logs.items() if k != "num_tokens"}  # counts from where a run went on
        line = {"step": state.global_step, **told, "seconds": round(time.monotonic() - self.started, 2)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last line that was cut off is left out, and so is a file that does not exist."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


class Bar(TrainerCallback):
    """One bar: updates done, with the last loss or reward beside it, and what goes with them."""

    SHOWN = ("loss", "reward", "valid", "kl", "mean_token_accuracy")

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc=self.title, unit="update")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if self.bar is not None and logs:
            shown = {k: float(logs[k]) for k in self.SHOWN if k in logs}
            self.bar.set_postfix({k: f"{v:.3g}" for k, v in shown.items()}, refresh=False)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()
