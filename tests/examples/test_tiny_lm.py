"""The example runs from its settings to its answer, as its README says (with fewer trials)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny_lm"


def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "tiny_lm", ignore=shutil.ignore_patterns("runs"))
    place = tmp_path / "tiny_lm"
    settings = (place / "study.yaml").read_text()
    fewer = settings.replace("budget: 8", "budget: 3").replace("budget: 3\n", "budget: 1\n").replace("16k", "6k")
    (place / "study.yaml").write_text(fewer.replace("320k", "80k"))
    (block,) = re.findall(r"```sh\n(.*?)```", (place / "README.md").read_text(), re.DOTALL)
    where, *commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert where == ["cd", "examples/tiny_lm"]
    assert [c[0] for c in commands] == ["autollmresearch", "autollmresearch", "python"]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    said = []
    for program, *arguments in commands:
        start = ["-m", "autollmresearch"] if program == "autollmresearch" else []
        done = subprocess.run(
            [sys.executable, *start, *arguments], cwd=place, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].startswith("tiny-lm: 1 of 1 trials are done\nbest: trial 0, val_loss ")
    assert "3 of 3 trials used" in said[1]
    copied, proposed = (float(v) for v in re.findall(r"-> val_loss (\S+)", said[2]))
    won = "The first proposal won by" in said[2]
    assert won == (proposed < copied)
    assert won or "did not win" in said[2]


def test_the_same_arguments_give_the_same_loss() -> None:
    arguments = ["--params", "1000", "--tokens", "4000", "--lr", "0.01", "--batch-size", "32", "--seed", "3"]
    runs = [
        subprocess.run(
            [sys.executable, str(EXAMPLE / "train.py"), *arguments], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert re.search(r"^val_loss=\d\.\d{4}$", runs[0], re.MULTILINE)
