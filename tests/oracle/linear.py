"""A linear and its inputs for the tests of codecs that know them, and the program that runs ours on it."""
import struct
import subprocess

import numpy as np

from program import BUILD

TOOL = BUILD / "tests/oracle/linear_tool"


def inputs(rng, tokens, cols):
    """Correlated, of very different sizes, a few columns far larger: as a transformer's are."""
    mix = rng.standard_normal((cols // 4, cols)) * 0.7
    x = rng.standard_normal((tokens, cols // 4)) @ mix / np.sqrt(cols // 4) + rng.standard_normal((tokens, cols)) * 0.5
    size = np.exp(rng.standard_normal(cols) * 0.6)
    size[rng.choice(cols, cols // 50, replace=False)] *= 10
    return (x * size).astype(np.float32)


def weights(rng, rows, cols):
    """Heavy tails, and columns of different sizes."""
    w = rng.standard_t(6, (rows, cols)) * np.exp(rng.standard_normal(cols) * 0.2) * 0.02
    return w.astype(np.float32)


def hessian(x):
    x = x.astype(np.float64)
    return x.T @ x / len(x)


def loss(w, v, h):
    e = v.astype(np.float64) - w
    return ((e @ h) * e).sum(axis=1)


def run(args, w, h):
    upper = h.astype(np.float32)[np.triu_indices(len(h))]
    data = struct.pack("<QQ", *w.shape) + np.ascontiguousarray(w, np.float32).tobytes() + upper.tobytes()
    done = subprocess.run([TOOL, *map(str, args)], input=data, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"linear_tool {args}: {done.stderr.decode().strip()}")
    return done.stdout


def decode(out, w, group):
    """The values that codes, scales and zeros stand for, and these three."""
    rows, cols = w.shape
    group = group or cols
    codes = np.frombuffer(out, np.uint8, rows * cols).reshape(rows, cols)
    rest = np.frombuffer(out, np.float32, offset=rows * cols).reshape(2, rows, cols // group)
    scale, zero = (np.repeat(a, group, axis=1) for a in rest)
    return scale * (codes - zero), codes, *rest
