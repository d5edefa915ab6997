"""A training script as anyone has one: it takes its settings as arguments and prints `val_loss=...` at the end.

Fits a line to noisy points by stochastic gradient descent. Small batches mean more, noisier steps for the same
number of examples; too large a learning rate diverges.
"""

import argparse
import math
import random

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--batch-size", type=int, required=True)
parser.add_argument("--examples", type=int, default=256)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

rng = random.Random(args.seed)
weight, bias, loss = 0.0, 0.0, math.inf
steps = args.examples // args.batch_size
for step in range(steps):
    points = [(rng.gauss(1.0, 1.0), rng.gauss(0.0, 1.0)) for _ in range(args.batch_size)]
    errors = [(weight * x + bias - (2.0 * x - 1.0 + noise), x) for x, noise in points]
    loss = sum(e * e for e, _ in errors) / args.batch_size
    lr = args.lr * (1 - step / steps)
    weight -= lr * sum(2 * e * x for e, x in errors) / args.batch_size
    bias -= lr * sum(2 * e for e, _ in errors) / args.batch_size

dw, db = weight - 2.0, bias + 1.0
print(f"train_loss={loss:.6f}")
print(f"val_loss={1.0 + 2 * dw * dw + 2 * dw * db + db * db:.6f}")
