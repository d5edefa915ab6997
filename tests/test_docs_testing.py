"""docs/testing.md: its classes, put into one file, are collected by pytest and pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import autollmresearch.testing as checks

PAGE = (Path(__file__).parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
CASES = (checks.SuiteTestCase, checks.EnvTestCase, checks.PolicyTestCase)


def test_the_pages_classes_pass_as_a_file_of_tests(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    (tmp_path / "test_mine.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = sum(name.startswith("test_") for case in CASES for name in dir(case))
    assert done.returncode == 0, done.stdout
    assert f"{expected} passed" in done.stdout
