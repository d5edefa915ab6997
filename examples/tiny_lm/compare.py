"""Did the first proposal beat copying the small model's best? Runs the copy as well, and says what came out.

Run it after `autollmresearch run study.yaml`, in the same directory.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
status = [sys.executable, "-m", "autollmresearch", "status", str(HERE / "runs" / "tiny-lm"), "--format", "json"]
study = json.loads(subprocess.run(status, capture_output=True, text=True, check=True).stdout)

proposed = study["trials"][0]
small = study["phases"][-1]
best = min((t for t in small["trials"] if t["value"] is not None), key=lambda t: t["value"])
scale = study["fidelity"]["values"]

train = [sys.executable, str(HERE / "train.py"), "--params", str(scale["N"]), "--tokens", str(scale["tokens"])]
settings = ["--lr", str(best["config"]["lr"]), "--batch-size", str(best["config"]["batch_size"])]
done = subprocess.run([*train, *settings, "--seed", str(study["seed"])], capture_output=True, text=True, check=True)
copied = float(re.findall(r"val_loss=(\S+)", done.stdout)[-1])


def shown(config: dict[str, float]) -> str:
    return ", ".join(f"{k} {v:.3g}" for k, v in config.items())


print(f"copying the best of {small['study']}: {shown(best['config'])} -> val_loss {copied:.4f}")
if proposed["value"] is None:
    sys.exit(f"the first proposal failed ({proposed['failure']}), so it did not win")
print(f"the first proposal:               {shown(proposed['config'])} -> val_loss {proposed['value']:.4f}")
if proposed["value"] < copied:
    print(f"The first proposal won by {copied - proposed['value']:.4f}.")
elif proposed["value"] == copied:
    print("They came out the same: the first proposal did not win.")
else:
    print(f"The first proposal did not win: copying was better by {proposed['value'] - copied:.4f}.")

values = [t["value"] for t in study["trials"] if t["value"] is not None]
print(f"The best of all {len(study['trials'])} proposals: val_loss {min(values):.4f}.")
