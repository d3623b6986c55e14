"""GPTQ into uniform groups beside the published algorithm (Frantar et al., arXiv 2210.17323), and the factor it
runs on beside numpy's.

usage: test_uniform.py BUILD_DIR
"""
import numpy as np

import linear
import tap

DAMP = 0.01


def published(w, h, bits, group, symmetric):
    """Columns in order, error fed back through the Cholesky factor of the inverse, the scale of a group from its
    least and largest value when its turn comes."""
    w, h = w.astype(np.float64).copy(), h.copy()
    cols, top = w.shape[1], 2**bits - 1
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h[np.diag_indices(cols)] += DAMP * np.diag(h).mean()
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    v = np.zeros_like(w)
    for j in range(cols):
        if j % (group or cols) == 0:
            part = w[:, j : j + (group or cols)]
            low, high = np.minimum(part.min(1), 0), np.maximum(part.max(1), 0)
            if symmetric:
                high = np.maximum(-low, high)
                low = -high
            scale = np.maximum((high - low) / top, 1e-12)
            zero = np.full(len(w), 2 ** (bits - 1)) if symmetric else np.round(-low / scale)
        v[:, j] = scale * (np.clip(np.round(w[:, j] / scale) + zero, 0, top) - zero)
        w[:, j + 1 :] -= np.outer((w[:, j] - v[:, j]) / u[j, j], u[j, j + 1 :])
    return v


def forms(rng):
    w, h = linear.weights(rng, 32, 256), linear.hessian(linear.inputs(rng, 2048, 256))
    for bits in (2, 3, 4, 8):
        for group in (32, 128, 0) if bits != 4 else (32, 64, 128, 0):
            for symmetric in (0, 1):
                one_form(w, h, bits, group, symmetric)
    out = [linear.run(["gptq", 4, 128, 0, sweeps, DAMP], w, h) for sweeps in (0, 2, 2)]
    tap.ok(out[1] == out[2], "the same bytes twice")
    none, two = (linear.loss(w, linear.decode(o, w, 128)[0], h).sum() for o in out[:2])
    tap.ok(two < 0.97 * none, "moving single codes pays", f"{two / none:.3f}")


def one_form(w, h, bits, group, symmetric):
    name = f"{bits} bits, groups of {group or 'a row'}, {'symmetric' if symmetric else 'asymmetric'}"
    damped = h + np.eye(len(h)) * DAMP * np.diag(h).mean()
    v, codes, scale, zero = linear.decode(linear.run(["gptq", bits, group, symmetric, 2, DAMP], w, h), w, group)
    plain = linear.decode(linear.run(["round", bits, group, symmetric], w, h), w, group)[0]
    tap.ok(codes.max() <= 2**bits - 1 and zero.max() <= 2**bits - 1 and scale.min() > 0
           and (not symmetric or (zero == 2 ** (bits - 1)).all())
           and (scale == scale.astype(np.float16)).all(), f"{name}: codes, scales and zeros are in their ranges")
    ours, theirs = linear.loss(w, v, h).sum(), linear.loss(w, published(w, h, bits, group, symmetric), h).sum()
    tap.ok(ours <= theirs, f"{name}: no more error than the published algorithm", f"{ours / theirs:.3f} of it")
    rounded = linear.loss(w, plain, damped)
    tap.ok((linear.loss(w, v, damped) <= rounded * (1 + 1e-4)).all(), f"{name}: no row is worse than plain rounding",
           f"{linear.loss(w, v, damped).sum() / rounded.sum():.3f} of it")


def factor(rng):
    for name, cols, tokens in [("full rank", 96, 1000), ("fewer tokens than columns", 200, 60), ("one column", 1, 5)]:
        h = linear.hessian(rng.standard_normal((tokens, cols)).astype(np.float32) * np.exp(rng.standard_normal(cols)))
        out = linear.run(["factor", DAMP], np.zeros((1, cols), np.float32), h)
        got, u = np.frombuffer(out[:-8], np.float32).reshape(2, cols, cols).astype(np.float64)
        mean = np.diag(h).mean()
        want = h / mean + DAMP * np.eye(cols)
        tap.ok(abs(np.frombuffer(out[-8:])[0] / mean - 1) < 1e-6 and np.abs(got - want).max() < 1e-6 * want.max(),
               f"{name}: H is damped", f"{np.abs(got - want).max():.1e}")
        inverse = np.linalg.inv(want)
        tap.ok(np.abs(u.T @ u - inverse).max() < 1e-5 * np.abs(inverse).max(), f"{name}: U'U is the inverse of H",
               f"{np.abs(u.T @ u - inverse).max() / np.abs(inverse).max():.1e}")
        lower = np.linalg.inv(u)
        tap.ok(np.abs(lower @ lower.T - want).max() < 1e-4 * want.max(), f"{name}: and L L' is H",
               f"{np.abs(lower @ lower.T - want).max() / want.max():.1e}")


tap.run("factor", factor, np.random.default_rng(1))
tap.run("forms", forms, np.random.default_rng(2))
tap.done()
