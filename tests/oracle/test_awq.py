"""AWQ's scales beside an independent search as the paper and its programs have it (Lin et al., arXiv 2306.00978):
twenty exponents, s = mean |x|^a / sqrt(max * min), with and without the weights' own magnitudes.

Scaled files in stock llama.cpp, and beside their sources.

usage: test_awq.py BUILD_DIR
"""
import pathlib
import tempfile

import gguf
import numpy as np

import linear
import stock
import tap
from program import quern, run

GRID = 20
TEXT = pathlib.Path("LICENSE")
GOLDEN = pathlib.Path("tests/golden/models")


def group_rounding(bits, group):
    """Least to largest value of a group, in whole steps."""
    def rounded(w):
        part = w.reshape(len(w), -1, group)
        low, high = np.minimum(part.min(-1, keepdims=True), 0), np.maximum(part.max(-1, keepdims=True), 0)
        scale = np.maximum((high - low) / (2**bits - 1), 1e-12).astype(np.float16).astype(np.float64)
        zero = np.round(-low / scale)
        return ((np.clip(np.round(part / scale) + zero, 0, 2**bits - 1) - zero) * scale).reshape(w.shape)
    return rounded


def package_rounding(name):
    kind = getattr(gguf.GGMLQuantizationType, name)
    return lambda w: gguf.quants.dequantize(gguf.quants.quantize(w.astype(np.float32), kind), kind)


def published(w, x, h, rounding, group, duo):
    """The least loss over the grid, and its scales."""
    magnitude = np.abs(x).mean(0).astype(np.float64)
    part = np.abs(w).reshape(len(w), -1, group).astype(np.float64)
    weight = (part / part.max(-1, keepdims=True)).reshape(w.shape).mean(0)
    best = (np.inf, None)
    for i in range(GRID):
        a = i / GRID
        s = magnitude**a / (weight ** (1 - a) + 1e-4) if duo else magnitude**a
        s = np.maximum(s, 1e-4)
        s /= np.sqrt(s.max() * s.min())
        loss = linear.loss(w, rounding(w * s) / s, h).sum()
        if loss < best[0]:
            best = (loss, s)
    return best


def ours(args, w, h):
    out = np.frombuffer(linear.run(args, w, h)[:32])
    total = ((w.astype(np.float64) @ h) * w).sum()
    return out[0], out[1], out[2] * total, out[3] * total


def one(name, args, rounding, group, data, through=None):
    w, x, h = data
    a, b, before, after = ours(args, w, h)
    theirs = [published(w, x, h, rounding, group, duo) for duo in (False, True)]
    least = min(theirs, key=lambda t: t[0])
    tap.ok(after <= least[0], f"{name}: no more error than the published search",
           f"{after / least[0]:.3f} of it; {after / before:.3f} of ours unscaled; a {a:.2f}, b {b:.2f}")
    if through:  # the same encoder, so that the scales alone differ
        s = least[1]
        loss = linear.loss(w, through((w * s).astype(np.float32), h / np.outer(s, s)) / s, h).sum()
        tap.ok(after <= loss, f"{name}: its scales through our encoder are no better", f"{after / loss:.3f} of it")


def searches(rng):
    x = linear.inputs(rng, 2048, 256)
    data = linear.weights(rng, 96, 256), x, linear.hessian(x)
    for bits in (3, 4):
        for group in (32, 128):
            through = lambda w, h: linear.decode(linear.run(["round", bits, group, 0], w, h), w, group)[0]
            one(f"{bits} bits, groups of {group}", ["awq", bits, group, 0], group_rounding(bits, group), group, data,
                through)
    for kind in ("Q4_0", "Q5_1"):
        one(kind, ["awq", kind], package_rounding(kind), 32, data)


def figures(rng):
    """What the program says of its loss is what numpy finds of the weights that come of it."""
    x = linear.inputs(rng, 1024, 256)
    w, h = linear.weights(rng, 40, 256), linear.hessian(x)
    out = linear.run(["awq", 4, 32, 0], w, h)
    said, s = np.frombuffer(out[:32])[3], np.frombuffer(out[32:], np.float32).astype(np.float64)
    scaled = (w * s).astype(np.float32)
    v = linear.decode(linear.run(["round", 4, 32, 0], scaled, h / np.outer(s, s)), w, 32)[0] / s
    found = linear.loss(w, v, h).sum() / ((w.astype(np.float64) @ h) * w).sum()
    tap.ok(abs(said / found - 1) < 1e-3, "the loss is what it says", f"{said:.6f} and {found:.6f}")
    steps = np.log2(s) * 8
    tap.ok(np.abs(steps - np.round(steps)).max() < 1e-4, "scales are eighth powers of two")


def rounded_input(x, block):
    part = x.reshape(len(x), -1, block)
    step = np.abs(part).max(-1, keepdims=True) / 127
    return (np.round(part / step) * step).reshape(x.shape)


def eight_bits(rng):
    """Inputs that the engine rounds, too: the least of both losses, which simulation finds as they are said to be."""
    x = linear.inputs(rng, 4096, 512).astype(np.float64)
    w, h, kind = linear.weights(rng, 64, 512), linear.hessian(x), "Q8_0"
    total, rounding = ((w.astype(np.float64) @ h) * w).sum(), package_rounding(kind)

    def simulated(s):
        error = (rounded_input(x / s, 32) - x / s) @ (w * s).T
        return (linear.loss(w, rounding(w * s) / s, h).sum() + (error**2).mean(0).sum()) / total

    found = {}
    for peak in (0, 1):
        out = linear.run(["awq", kind, peak], w, h)
        found[peak] = np.frombuffer(out[:32])[2:], np.frombuffer(out[32:], np.float32).astype(np.float64)
    (before, after), s = found[1]
    plain, folded, blind = simulated(1.0), simulated(s), simulated(found[0][1])
    tap.ok(abs(before / plain - 1) < 0.25 and abs(after / folded - 1) < 0.25, "what rounding inputs costs is what it says",
           f"{before:.3e} of {plain:.3e}, {after:.3e} of {folded:.3e}")
    tap.ok(folded < 0.8 * plain and folded < blind, "factors that know of it lose less",
           f"{folded / plain:.3f} of the loss, {blind / plain:.3f} without knowing")


def probabilities(path, tokens):
    with stock.Model(path, context=64) as model:
        x = model.logits(tokens).astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def divergence(p, q):
    return (np.exp(p) * (p - q)).sum(axis=-1).mean()


def files(tmp):
    """The file runs in an engine that knows nothing of folds, is no worse than without them, and verify proves it."""
    tmp = pathlib.Path(tmp)
    for name in ("llama", "qwen2", "qwen3"):
        calib, source, out = tmp / f"{name}.h5", tmp / f"{name}.gguf", tmp / f"{name}.awq.gguf"
        quern("calibrate", GOLDEN / name, "-f", TEXT, "-c", 64, "-o", calib)
        quern("convert", GOLDEN / name, "-o", source, "--type", "F32")
        with stock.Model(source, vocab_only=True) as model:
            tokens = model.tokenize(TEXT.read_bytes()[-400:])[:64]
        base, kl = probabilities(source, tokens), {}
        for method in ("rtn", "awq", "awq+gptq"):
            for kind in ("Q8_0", "Q4_0"):
                quern("quantize", GOLDEN / name, "-o", out, "--type", kind, "--pure", "--calib", calib, "--method",
                      method, "--force", "--no-table")
                kl[method, kind] = divergence(base, probabilities(out, tokens))
        quern("verify", out, GOLDEN / name, "--no-table")
        for method in ("awq", "awq+gptq"):
            tap.ok(kl[method, "Q8_0"] < 3 * kl["rtn", "Q8_0"] and kl[method, "Q4_0"] < 1.3 * kl["rtn", "Q4_0"],
                   f"{name}: stock runs {method} and it diverges no more than plain rounding",
                   f"Q8_0 {kl[method, 'Q8_0']:.2e} to {kl['rtn', 'Q8_0']:.2e}, "
                   f"Q4_0 {kl[method, 'Q4_0']:.2e} to {kl['rtn', 'Q4_0']:.2e}")
        fields = gguf.GGUFReader(out).fields
        tap.ok("quern.fold.ffn_mid" in fields, f"{name}: the file says how it is folded")
    wrong = run("verify", tmp / "llama.awq.gguf", GOLDEN / "llama3", "--no-table", "-q")
    tap.ok(wrong.returncode == 1 and wrong.stderr.count("\n") == 1, "another source is refused in a sentence", wrong.stderr.strip())


tap.run("searches", searches, np.random.default_rng(5))
tap.run("figures", figures, np.random.default_rng(6))
tap.run("eight bits", eight_bits, np.random.default_rng(7))
with tempfile.TemporaryDirectory() as folder:
    tap.run("files", files, folder)
tap.done()
