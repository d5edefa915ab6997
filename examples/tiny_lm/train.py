"""A training script as anyone has one: it takes its settings as arguments and prints `val_loss=...` at the end.

Trains a character-level language model (an embedding and two hidden layers over the last eight characters, AdamW) on
sentences from a small grammar. NumPy only; the same arguments give the same loss.
"""

import argparse
import math

import numpy as np

CONTEXT, EMBEDDING, BETAS, DECAY = 8, 8, (0.9, 0.99), 0.01

parser = argparse.ArgumentParser()
parser.add_argument("--params", type=int, required=True, help="about how many weights the model has")
parser.add_argument("--tokens", type=int, required=True, help="how many characters it is trained on")
parser.add_argument("--lr", type=float, required=True, help="peak learning rate")
parser.add_argument("--batch-size", type=int, required=True, help="characters per step")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()


def sentences(rng: np.random.Generator, length: int) -> str:
    """Text of about `length` characters: subjects, verbs and objects that agree in number and go together."""
    words, out, size = np.random.default_rng(1), [], 0
    syllables = [c + v for c in "bdfglmnprst" for v in "aeiou"]
    lexicon = [["".join(words.choice(syllables, size=words.integers(1, 4))) for _ in range(40)] for _ in range(4)]
    while size < length:
        plural, topic = rng.random() < 0.4, rng.integers(4)
        pick = [lex[10 * topic + min(int(rng.exponential(3.0)), 9)] for lex in lexicon]
        adjective = pick[3] + " " if rng.random() < 0.5 else ""
        text = f"the {adjective}{pick[0]}{'s' if plural else ''} {pick[1]}{'' if plural else 't'} a {pick[2]}. "
        out.append(text)
        size += len(text)
    return "".join(out)


text = sentences(np.random.default_rng(100), args.tokens + CONTEXT)
held_out = sentences(np.random.default_rng(200), 20_000)
alphabet = {c: i for i, c in enumerate(sorted(set(text + held_out)))}
train, valid = (np.array([alphabet[c] for c in t]) for t in (text, held_out))

rng = np.random.default_rng(args.seed)
inputs, vocabulary = CONTEXT * EMBEDDING, len(alphabet)
b = inputs + vocabulary  # width w has about w^2 + b w weights
width = max(4, round((math.sqrt(b * b + 4 * args.params) - b) / 2))
weights = [
    rng.normal(0.0, 1.0, (vocabulary, EMBEDDING)),
    rng.normal(0.0, math.sqrt(2 / inputs), (inputs, width)),
    rng.normal(0.0, math.sqrt(2 / width), (width, width)),
    np.zeros((width, vocabulary)),
]
weights = [w.astype(np.float32) for w in weights]
first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))


def forward(x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Activations of each layer for contexts [n, CONTEXT], and log-probabilities [n, vocabulary]."""
    e = weights[0][x].reshape(len(x), inputs)
    h = np.maximum(e @ weights[1], 0)
    g = h + np.maximum(h @ weights[2], 0)
    z = g @ weights[3]
    z -= z.max(axis=1, keepdims=True)
    return [e, h, g], z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Of the mean cross-entropy, one per weight matrix."""
    (e, h, g), logp = forward(x)
    dz = np.exp(logp)
    dz[np.arange(len(y)), y] -= 1
    dz /= len(y)
    dg = dz @ weights[3].T
    inner = dg * (g > h)
    dh = (dg + inner @ weights[2].T) * (h > 0)
    de = np.zeros_like(weights[0])
    np.add.at(de, x.reshape(-1), (dh @ weights[1].T).reshape(-1, EMBEDDING))
    return [de, e.T @ dh, h.T @ inner, g.T @ dz]


windows = np.lib.stride_tricks.sliding_window_view(train, CONTEXT + 1)
steps = max(1, args.tokens // args.batch_size)
order = rng.permutation(len(windows))
for step in range(steps):
    batch = windows[order[np.arange(step * args.batch_size, (step + 1) * args.batch_size) % len(order)]]
    warm, left = min(1.0, 20 * (step + 1) / steps), 1 - step / steps
    lr = args.lr * min(warm, 0.1 + 0.9 * 0.5 * (1 - math.cos(math.pi * left)))
    for w, g, m, v in zip(weights, gradients(batch[:, :-1], batch[:, -1]), first, second, strict=True):
        m += (1 - BETAS[0]) * (g - m)
        v += (1 - BETAS[1]) * (g * g - v)
        fix = math.sqrt(1 - BETAS[1] ** (step + 1)) / (1 - BETAS[0] ** (step + 1))
        w -= lr * (fix * m / (np.sqrt(v) + 1e-8) + DECAY * w)

windows = np.lib.stride_tricks.sliding_window_view(valid, CONTEXT + 1)
loss = -float(np.mean(forward(windows[:, :-1])[1][np.arange(len(windows)), windows[:, -1]]))
print(f"width={width} steps={steps}")
print(f"val_loss={loss:.4f}")
