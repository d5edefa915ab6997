"""The lab leaves the processor as it found it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import torch
from llmconfig_gym.collect.lab.processor import lab_arithmetic

def flushing():
    return sys.float_info.min / 2 == 0

torch.set_num_threads(2)
with lab_arithmetic():
    assert flushing() and torch.get_num_threads() == 1
assert not flushing() and torch.get_num_threads() == 2
torch.set_flush_denormal(True)
with lab_arithmetic():
    pass
assert flushing()
"""


def test_threads_and_denormals_are_as_before() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
