"""Our encoders beside stock ggml's: error and CPU time of every type, into docs/codec-quality.md.

    make build/tests/quantize/encode_file
    python3 tests/oracle/codec_quality.py [--model FOLDER] [--out FILE] [--encoder FILE]
                                          [--weights N] [--types Q4_K,...]

Weights: tests/golden/blocks; seeded weights of each of its four kinds of rows; the 2-D tensors
of a model folder.  Each without importance (mean squared error) and with it (error weighted by
it).  Decoded by the Python package gguf, so that neither side judges itself.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

import stock

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
         "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4"]
# Where being no worse than ggml is not enough.
STRICT = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"}
GOLDEN = pathlib.Path("tests/golden/blocks")
COLS = 4096


class Ggml:
    """ggml's own encoders, from the pinned PyPI package (tests/oracle/stock.py)."""

    def encode(self, name, x, importance):
        kind = GGMLQuantizationType[name]
        elems, size = GGML_QUANT_SIZES[kind]
        start = time.process_time()
        out = stock.encode(int(kind), x, size, elems, importance)
        return out.reshape(x.shape[0], -1), time.process_time() - start


class Ours:
    def __init__(self, encoder, folder):
        self.encoder, self.folder = encoder, pathlib.Path(folder)

    def encode(self, name, x, importance):
        weights, guide, blocks = (self.folder / n for n in ("weights", "importance", "blocks"))
        x.tofile(weights)
        if importance is not None:
            importance.tofile(guide)
        said = subprocess.check_output([self.encoder, name, str(x.shape[1]), weights,
                                        "-" if importance is None else guide, blocks])
        return np.fromfile(blocks, np.uint8).reshape(x.shape[0], -1), float(said)


def importance_of(rng, cols):
    """Mean squared activations, as spread as those of tests/golden/blocks."""
    return (rng.gamma(0.7, 0.87, cols) + 0.001).astype(np.float32)


def seeded(weights):
    """Rows of the kinds that weights.f32 has, four of each there: normal, heavy-tailed (close to
    Student's t with 3 degrees of freedom), small with a few large outliers, off centre."""
    rng = np.random.default_rng(20)
    shape = (weights // COLS, COLS)
    outliers = rng.standard_normal(shape) * 0.004
    outliers[rng.random(shape) < 0.003] *= 100
    for name, x in [
            ("normal", rng.standard_normal(shape) * 0.02),
            ("heavy", rng.standard_t(3, shape) * 0.01),
            ("outliers", outliers),
            ("off centre", rng.standard_normal(shape) * 0.03 + 0.05)]:
        x = x.astype(np.float16).astype(np.float32)
        yield name, [(x, importance_of(rng, COLS))]


def golden():
    x = np.fromfile(GOLDEN / "weights.f32", np.float32).reshape(16, 1024)
    return "golden", [(x, np.fromfile(GOLDEN / "importance.f32", np.float32))]


def model(folder):
    from safetensors import safe_open
    rng = np.random.default_rng(21)
    tensors = []
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safe_open(path, "np") as f:
            for name in sorted(f.keys()):
                x = f.get_tensor(name)
                if x.ndim == 2:
                    x = np.ascontiguousarray(x, np.float32)
                    tensors.append((x, importance_of(rng, x.shape[1])))
    return pathlib.Path(folder).resolve().name, tensors


class Tally:
    """Sums over the tensors of a set: (weighted) squared error, CPU seconds, weights."""

    def __init__(self):
        self.error = self.seconds = 0.0
        self.weights = 0

    def add(self, encoder, name, x, importance):
        blocks, seconds = encoder.encode(name, x, importance)
        y = quants.dequantize(blocks, GGMLQuantizationType[name])
        e = (x.astype(np.float64) - y) ** 2
        self.error += e.sum() if importance is None else (e * importance / importance.mean()).sum()
        self.seconds += seconds
        self.weights += x.size


def measure(ours, ggml, sets, types):
    """{type: {set: {guided: (ours, ggml)}}}"""
    table = {}
    for name in types:
        elems = GGML_QUANT_SIZES[GGMLQuantizationType[name]][0]
        table[name] = {}
        for label, tensors in sets:
            for guided in (False, True):
                pair = Tally(), Tally()
                for x, importance in tensors:
                    if x.shape[1] % elems:
                        continue
                    for tally, encoder in zip(pair, (ours, ggml)):
                        tally.add(encoder, name, x, importance if guided else None)
                table[name].setdefault(label, {})[guided] = pair
            ratios = (f"{o.error / g.error:.4f}" for o, g in table[name][label].values())
            print(name, label, *ratios, file=sys.stderr)
    return table


def rows(table, types, cell):
    labels = list(table[types[0]])
    yield "| type | " + " | ".join(labels) + " |"
    yield "|---" * (1 + len(labels)) + "|"
    for name in types:
        yield f"| {name} | " + " | ".join(cell(name, table[name][s]) for s in labels) + " |"


def ratio(pair):
    ours, ggml = pair
    return f"{ours.error / ggml.error:.3f}"


def seconds(table, name, guided, side):
    """CPU seconds for 10^6 weights, over all sets."""
    pairs = [s[guided] for s in table[name].values()]
    return sum(p[side].seconds for p in pairs) / sum(p[side].weights for p in pairs) * 1e6


def report(table, types, command, weights):
    yield "# Encoders beside stock ggml\n"
    yield "Made with\n"
    yield f"    {command}\n"
    yield f"""beside ggml of the PyPI package xllamacpp {version("xllamacpp")}.

Our error divided by ggml's, decoded by the Python package gguf: under 1 is better. First the mean
squared error without importance, then the error weighted by column importance with it.

- golden: tests/golden/blocks
- normal (sigma 0.02), heavy (Student's t, 3 degrees of freedom), outliers (sigma 0.004, 0.3% of
  them 100 times larger), off centre (0.05 +- 0.03): {weights} seeded weights each of golden's four
  kinds of rows
- the last column, where there is a sixth: all matrices of a model
"""
    yield from rows(table, types, lambda name, s: f"{ratio(s[False])}, {ratio(s[True])}")
    yield "\nCPU seconds for 10^6 weights, over all of these, and how many times faster ours are.\n"
    yield "| type | ours | ggml | | ours, importance | ggml, importance | |"
    yield "|---" * 7 + "|"
    for name in types:
        cells = []
        for guided in (False, True):
            o, g = (seconds(table, name, guided, side) for side in (0, 1))
            cells += [f"{o:.4f}", f"{g:.4f}", f"{g / o:.1f}x"]
        yield f"| {name} | " + " | ".join(cells) + " |"


def worse(table):
    """What the project promises and this run does not show."""
    for name, sets in table.items():
        for label, s in sets.items():
            for guided, (ours, ggml) in s.items():
                r = ours.error / ggml.error
                if r > 1.0 or (r == 1.0 and name in STRICT):
                    yield f"{name} {label} {'importance' if guided else 'plain'}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", help="folder with safetensors files")
    p.add_argument("--out", default="docs/codec-quality.md")
    p.add_argument("--encoder", default="build/tests/quantize/encode_file")
    p.add_argument("--weights", type=int, default=1 << 20, help="seeded weights of a kind")
    p.add_argument("--types", default=",".join(TYPES))
    o = p.parse_args()
    types = o.types.split(",")
    sets = [golden(), *seeded(o.weights)] + ([model(o.model)] if o.model else [])
    with tempfile.TemporaryDirectory() as folder:
        table = measure(Ours(o.encoder, folder), Ggml(), sets, types)
    command = "python3 tests/oracle/codec_quality.py" + (" --model FOLDER" if o.model else "")
    pathlib.Path(o.out).write_text("\n".join(report(table, types, command, o.weights)) + "\n")
    bad = list(worse(table))
    for b in bad:
        print("worse than ggml:", b, file=sys.stderr)
    return 1 if bad else 0


sys.exit(main())
