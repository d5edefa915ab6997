"""The scripts for Slurm, where Slurm's and Ray's programs are stand-ins that note what they are asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "recipes" / "slurm"
STAND_INS = {
    "scontrol": r"printf 'localhost\nsecond\n'",
    "srun": 'echo "srun $*" >> "$NOTES"; while [[ $1 == --* ]]; do shift; done; exec "$@"',
    # The head serves until it is ended; the second node is lost at once, which must not matter.
    "ray": """echo "ray $*" >> "$NOTES"
case "$*" in
  *--head*) touch up; exec sleep 600;;
  status*) [ -e up ];;
  *) exit 1;;
esac""",
    "accelerate": 'echo "accelerate $*" >> "$NOTES"',
    "program": """until grep -q "^ray start --address" "$NOTES"; do sleep 0.02; done
echo "program $* at $RAY_ADDRESS" >> "$NOTES"
exit 3""",
}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Runs a script as Slurm would on the first of two nodes: its exit code, and the notes of the stand-ins."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"JOB_NODELIST": "n[1-2]", "JOB_ID": "12345", "JOB_NUM_NODES": "2", "CPUS_PER_TASK": "4"}
    slurm |= {"GPUS_ON_NODE": "8", "NODEID": "1"}
    environment = {**os.environ, **{f"SLURM_{k}": v for k, v in slurm.items()}, "NOTES": str(tmp_path / "notes")}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"

    def run(script: str, *arguments: str) -> tuple[int, list[str]]:
        done = subprocess.run(["bash", SCRIPTS / script, *arguments], cwd=tmp_path, env=environment, check=False)
        return done.returncode, (tmp_path / "notes").read_text().splitlines()

    return run


def test_ray_starts_on_every_node_and_the_command_on_the_first(run: Callable[..., tuple[int, list[str]]]) -> None:
    code, notes = run("ray.sbatch", "program", "--backend", "ray", "--out", "a b")
    assert code == 3, "the exit code is the command's"
    assert "program --backend ray --out a b at 127.0.0.1:22345" in notes
    starts = [line for line in notes if line.startswith("ray start")]
    common = "--num-cpus=4 --num-gpus=8 --disable-usage-stats --block"
    assert sorted(starts) == [
        f"ray start --address=127.0.0.1:22345 {common}",
        f"ray start --head --node-ip-address=127.0.0.1 --port=22345 --include-dashboard=false {common}",
    ]
    nodes = [line.partition("--nodelist=")[2].split()[0] for line in notes if line.startswith("srun")]
    assert sorted(nodes) == ["localhost", "second"]
    answered = max(i for i, line in enumerate(notes) if line == "ray status --address 127.0.0.1:22345")
    assert answered < notes.index(f"ray start --address=127.0.0.1:22345 {common}"), (
        "the others start when the head answers"
    )


def test_training_is_launched_on_every_node_with_its_rank(run: Callable[..., tuple[int, list[str]]]) -> None:
    code, notes = run("train.sbatch", "reinforce", "--recipe", "r.yaml", "--out", "a b")
    assert code == 0
    assert notes[-1] == (
        "accelerate launch --config_file recipes/accelerate/deepspeed_zero2.yaml --num_machines 2 --num_processes 16 "
        "--machine_rank 1 --main_process_ip localhost --main_process_port 22345 "
        "-m autollmresearch train reinforce --recipe r.yaml --out a b"
    )
