"""Importing a user's own runs: a table of any usual kind, or what W&B, MLflow, trackio or Optuna keep, becomes a suite.

`read_table` reads the file, `guess_roles` says what each column is and why, `import_table` does both and builds the
suite. Nothing is dropped in silence: each row is used or reported with its line.
"""

from llmconfig_gym.importing.build import build_suite, check_name, import_table
from llmconfig_gym.importing.guess import guess_roles
from llmconfig_gym.importing.levels import parse_levels
from llmconfig_gym.importing.read import BadRow, Table, read_table
from llmconfig_gym.importing.report import Replicates, Report
from llmconfig_gym.importing.roles import Cost, Guess, Overrides, Reason, Roles
from llmconfig_gym.importing.source import Source
from llmconfig_gym.importing.units import parse_quantity

__all__ = [
    "BadRow",
    "Cost",
    "Guess",
    "Overrides",
    "Reason",
    "Replicates",
    "Report",
    "Roles",
    "Source",
    "Table",
    "build_suite",
    "check_name",
    "guess_roles",
    "import_table",
    "parse_levels",
    "parse_quantity",
    "read_table",
]
