"""Where the affine searches should begin: the lists of quantize/affine_start_table.c.

    python3 tests/oracle/affine_starts.py MODEL_FOLDER [q2|q4|q5] [--weighted] [--starts N]

Every grid of a lattice of stretches and shifts is fitted once to 16,000 blocks, half of them of
the model's matrices, half seeded; then one after the other is taken that lowers the mean error of
the best most.  Prints stretch, shift, and that mean relative to the whole lattice's.
"""
import argparse
import pathlib

import numpy as np
from safetensors import safe_open

# Weights a block, the largest code, then the lattice: least, largest, step of stretch and shift.
SHAPES = {"q2": (16, 3, (-1.2, 3.0, 0.1), (-1.5, 0.6, 0.1)),
          "q4": (32, 15, (-2.0, 4.0, 0.25), (-2.4, 0.8, 0.1)),
          "q5": (32, 31, (-3.0, 5.0, 0.25), (-2.4, 1.0, 0.1))}
BLOCKS = 16000


def model_blocks(rng, folder, steps, count):
    parts = []
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safe_open(file, "np") as tensors:
            parts += [t.reshape(-1, steps) for t in map(tensors.get_tensor, tensors.keys())
                      if t.ndim == 2]
    return np.concatenate(parts)[rng.integers(0, sum(map(len, parts)), count)].astype(np.float64)


def seeded_blocks(rng, steps, count):
    """Normal; Student's t with four degrees of freedom; normal with a few far out."""
    third = count // 3 + 1
    far = rng.normal(0, 1, (third, steps))
    far[rng.random(far.shape) < 0.002] *= 30
    rows = [rng.normal(0, 1, far.shape), rng.standard_t(4, far.shape), far]
    return np.concatenate(rows)[:count]


def fit_error(u, w, limit, q):
    """The weighted error of the best scale and offset (at most `limit`) for codes q."""
    total, su = w.sum(1), (w * u).sum(1)
    sq, sqq, squ = (w * q).sum(1), (w * q * q).sum(1), (w * q * u).sum(1)
    spread = sqq * total - sq * sq
    scale = np.where(spread > 1e-9, (squ * total - su * sq) / np.maximum(spread, 1e-9), 0)
    offset = (su - scale * sq) / total
    at_limit = np.where(sqq > 0, (squ - limit * sq) / np.maximum(sqq, 1e-300), 0)
    scale, offset = (np.where(offset > limit, at_limit, scale), np.minimum(offset, limit))
    return (w * (u - scale[:, None] * q - offset[:, None]) ** 2).sum(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("shape", choices=SHAPES, nargs="?", default="q4")
    parser.add_argument("--weighted", action="store_true")
    parser.add_argument("--starts", type=int, default=16)
    args = parser.parse_args()
    steps, top, stretches, shifts = SHAPES[args.shape]
    rng = np.random.default_rng(7)
    x = np.concatenate([model_blocks(rng, args.model, steps, BLOCKS // 2),
                        seeded_blocks(rng, steps, BLOCKS // 2)])
    w = rng.gamma(0.7, 0.87, x.shape) + 0.001 if args.weighted else np.ones(x.shape)
    low = np.minimum(x.min(1), 0)
    span = x.max(1) - low
    keep = span > 0
    u, w, limit = ((x - low[:, None]) / span[:, None])[keep], w[keep], (-low / span)[keep]

    lattice = [(a, b) for a in np.arange(stretches[0], stretches[1] + 1e-6, stretches[2])
               for b in np.arange(shifts[0], shifts[1] + 1e-6, shifts[2])]
    error = np.stack([fit_error(u, w, limit, np.rint(np.clip(u * (top + a) + b, 0, top)))
                      for a, b in lattice])
    error /= np.median(error, axis=0)
    error /= error.min(0).mean()
    best = np.full(error.shape[1], np.inf)
    for _ in range(args.starts):
        means = np.minimum(error, best).mean(1)
        k = int(means.argmin())
        best = np.minimum(best, error[k])
        print(f"{lattice[k][0]:6.2f} {lattice[k][1]:6.2f}   {means[k]:.4f}")


if __name__ == "__main__":
    main()
