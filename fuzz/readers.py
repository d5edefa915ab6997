"""Every function of the packages that opens or parses bytes: which target reads it, or why none does.

The functions are found in the syntax trees, so a new reader is found too: `tests/test_fuzz.py` fails until it stands
here, and runs the seeds of its target to see that they get there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

METHODS = {
    *("open", "fdopen", "read_text", "read_bytes", "recv", "reader", "connect", "loadtxt", "fromfile", "frombuffer"),
    *("load", "loads", "safe_load", "literal_eval", "from_pretrained", "load_file", "load_study", "execute"),
    *("read_table", "read_schema", "read_csv", "read_parquet", "read_json", "read_feather", "ParquetFile"),
}
"""What opens or parses, called as `something.name(...)`."""

NAMES = {"open", "RDBStorage", "JournalFileBackend", "Loader", "safe_open", "load_dataset", "ast.parse"}
"""What opens or parses, called by this name."""

OURS = {"trackio", "AgentSettings", "CausalLMPolicy", "Suite"}
"""Our own modules and classes: what they read is found in them."""

WRITTEN = {"webbrowser.open", "os.open", "json.loads(json.dumps"}
"""What looks like reading and is none."""

READ: Mapping[str, str] = {
    "autollmresearch.benchmark.runner:_read": "results",
    "autollmresearch.benchmark.leaderboard:_read": "results",
    "autollmresearch.benchmark.runner:read_manifest": "report",
    "autollmresearch.report.benchmark:_config": "report",
    "autollmresearch.report.benchmark:_read_targets": "report",
    "autollmresearch.report.benchmark:_read_episodes": "report",
    "autollmresearch.live.attempts:_check_owner": "trial_files",
    "autollmresearch.live.outcome:_tail": "trial_files",
    "autollmresearch.live.outcome:_json": "trial_files",
    "autollmresearch.live.settings:read_saved": "trial_files",
    "llmconfig_gym.process:_read": "trial_files",
    "autollmresearch.live.storage:open_storage": "storage_file",
    "autollmresearch.live.storage:_check_sqlite": "storage_file",
    "autollmresearch.live.study:find_study": "stored_study",
    "autollmresearch.policies.agent:checkpoint_digest": "checkpoint_settings",
    "autollmresearch.policies.agent:_base_of": "checkpoint_settings",
    "autollmresearch.policies.causal_lm:AgentSettings.load": "checkpoint_settings",
    "autollmresearch.policies.pretrained:load_pretrained": "checkpoint",
    "autollmresearch.training.curate:read_samples": "training_files",
    "autollmresearch.training.step:_read": "training_files",
    "autollmresearch.trajectories:read_trajectories": "trajectories",
    "llmconfig_gym.files:read_lines": "trajectories",
    "llmconfig_gym.action:_loads": "action",
    "llmconfig_gym.collect.driver:_read": "collected",
    "llmconfig_gym.collect.driver:Row.from_json": "collected",
    "llmconfig_gym.collect.embed:read_manifest": "collected",
    "llmconfig_gym.collect.raw_runs:read_runs": "collected",
    "llmconfig_gym.collect.raw_runs:_row": "collected",
    "llmconfig_gym.description:read_yaml": "recipe",
    "llmconfig_gym.description:_plain_yaml": "recipe",
    "llmconfig_gym.importing.mlflow:_meta": "import_mlflow_folder",
    "llmconfig_gym.importing.mlflow:_texts": "import_mlflow_folder",
    "llmconfig_gym.importing.mlflow:read_sqlite": "import_mlflow_database",
    "llmconfig_gym.importing.trackio:read_sqlite": "import_trackio_database",
    "llmconfig_gym.importing.trackers:read_tracker": "import_trackio_database",
    "llmconfig_gym.importing.trackers:read_only": "import_trackio_database",
    "llmconfig_gym.importing.trackers:_kind": "import_trackio_database",
    "llmconfig_gym.importing.trackio:_columns": "import_trackio_parquet",
    "llmconfig_gym.importing.trackio:_rows": "import_trackio_parquet",
    "llmconfig_gym.importing.optuna:read_storage": "import_optuna_database",
    "llmconfig_gym.importing.optuna:_read": "import_optuna_database",
    "llmconfig_gym.importing.optuna:read_journal": "import_optuna_journal",
    "llmconfig_gym.importing.nested:loads": "import_json",
    "llmconfig_gym.importing.read:_text": "import_json",
    "llmconfig_gym.importing.read:_read_delimited": "import_csv",
    "llmconfig_gym.importing.read:_read_parquet": "import_parquet",
    "llmconfig_gym.importing.nested:_python_literal": "cell",
    "llmconfig_gym.sources.unpickle:loads": "pickle",
    "llmconfig_gym.suite:Suite.load": "suite_index",
    "llmconfig_gym.suite:Suite._read": "suite_table",
}
"""Function: the target whose seeds get there. A reader that several targets reach stands here once."""

NOT_READ: Mapping[str, tuple[str, ...]] = {
    "a file that this package brings": (
        "autollmresearch.baselines.metabo:_shipped",
        "autollmresearch.baselines.nap:_shipped",
        "autollmresearch.report.page:_read",
        "autollmresearch.doctor:_weights",
        "llmconfig_gym.collect.lab.pretrain_base:base_policy",
    ),
    "bytes are only hashed": (
        "autollmresearch.methods:identity",
        "autollmresearch.policies.own:identity_of_own",
        "autollmresearch.training.step:digest",
        "llmconfig_gym.collect.lab.code:lab_code",
        "llmconfig_gym.parallel:code_digest",
        "llmconfig_gym.sources.download:_sha256",
    ),
    "a public table, whose SHA-256 is checked first": (
        "llmconfig_gym.sources.tables:read_csv",
        "llmconfig_gym.sources.unpickle:load",
    ),
    "what the same training run wrote, in the directory that it is writing to": (
        "autollmresearch.training.reporting:read_metrics",
        "autollmresearch.training.rollouts:_lines",
        "autollmresearch.training.rollouts:TrajectoriesKept.on_train_begin",
        "autollmresearch.training.sft:last_checkpoint",
        "autollmresearch.training.simulate:_from_line",
        "autollmresearch.training.simulate:Agent.read",
        "autollmresearch.training.ablate:untrained.work",
        "autollmresearch.training.prior:scratch_tokenizer",
        "autollmresearch.training.prior:_write_shard",
    ),
    "what the same benchmark or sweep wrote, in the directory that it is writing to": (
        "autollmresearch.benchmark.runner:run_benchmark",
        "llmconfig_gym.collect.driver:_claim",
        "llmconfig_gym.dataset_card:_front_matter",
    ),
    "what this process has just written": (
        "autollmresearch.live.runner:_placeless",
        "llmconfig_gym.files:whole_file",
    ),
    "what a program printed, as text with what is no UTF-8 replaced; the metric in it is read as in trial_files": (
        "llmconfig_gym.collect.command:CommandRunner.measure",
        "autollmresearch.live.attempts:_last_line",
    ),
    "a lock, and the ids of processes in it, which must be whole numbers above 1": (
        "llmconfig_gym.process:launch",
        "llmconfig_gym.process:alive",
        "llmconfig_gym.process:_words",
    ),
    "what the program that started it hands it, through a file without a name": ("llmconfig_gym.keeper:main",),
    "what the user types, for one experiment": ("llmconfig_gym.cli.look:run_tell",),
    "two texts of the maintainer's own": ("autollmresearch.training.ship:main",),
    "what the kernel says": ("llmconfig_gym.collect.lab.processor:_processor",),
}
"""Why no target reads them: functions."""


@cache
def readers() -> Mapping[str, tuple[str, int]]:
    """Each function that opens or parses, as `module:Class.function`: its module, and the line it begins at."""
    found: dict[str, tuple[str, int]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for name, line in reading(path.read_text(encoding="utf-8")):
            found[f"{module}:{name}"] = (module, line)
    return found


def reading(source: str) -> Iterator[tuple[str, int]]:
    """The functions of a module that open or parse, each with the line it begins at; the module itself is ''."""
    tree = ast.parse(source)
    owners: list[tuple[str, int, ast.AST]] = [("", 1, tree)]
    for name, line, owner in owners:
        inner = list(ast.iter_child_nodes(owner))
        opens = False
        for node in inner:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min(node.lineno, *(d.lineno for d in node.decorator_list), node.lineno)
                owners.append((f"{name}.{node.name}".lstrip("."), first, node))
            else:
                opens = opens or (isinstance(node, ast.Call) and _opens(node))
                inner.extend(ast.iter_child_nodes(node))
        if opens:
            yield name, line


def _opens(call: ast.Call) -> bool:
    text, modes = ast.unparse(call), [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
    if any(text.startswith(w) for w in WRITTEN):
        return False
    if any(isinstance(m, ast.Constant) and isinstance(m.value, str) and m.value[:1] in tuple("wax") for m in modes):
        return False
    name = ast.unparse(call.func)
    if isinstance(call.func, ast.Attribute) and call.func.attr in METHODS:
        return ast.unparse(call.func.value) not in OURS
    return name in NAMES
