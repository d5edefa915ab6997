"""Fuzzing of every reader of outside bytes: one target per reader under `targets/`, and `run.py`, which runs them.

Coverage-guided, with atheris (`pip install -c constraints.txt -e '.[agent,fuzz]'`):

    python -m fuzz.run --out ~/fuzz            # all targets, until each has had its inputs; the same command goes on
    python -m fuzz.run --out ~/fuzz pickle --runs 100000

The tests put a few thousand mutated seeds through the same targets without atheris (tests/test_fuzz.py).
"""
