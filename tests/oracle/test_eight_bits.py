"""What weights and activations in eight bits cost the golden models, beside stock llama.cpp's arithmetic.

usage: test_eight_bits.py BUILD_DIR

The models' weights are random: nothing that they learned damps an error, and rows of 64 have two blocks. The
weights' own rounding costs more than two per cent of the logits in exact arithmetic, ours and stock's alike;
what is tested is that activations in eight bits add no more than they do in stock.
"""
import pathlib
import subprocess
import tempfile

import numpy as np
from safetensors.numpy import load_file

import stock
import tap
from program import BUILD, quern

MODELS = ["llama", "llama3", "deepseek_coder", "mistral", "qwen2", "qwen3"]


def quantize(source, out, weights):
    quern("quantize", source, "-o", out, "--type", weights, "--pure", "--allow-requantize", "-q")


def ours(path, how, ids, vocab):
    """how: fast, exact"""
    done = subprocess.run([BUILD / "tests/model/write_logits", path, how, str(ids.shape[1])],
                          input=ids.astype("<i4").tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, "<f4").reshape(*ids.shape, vocab)


def theirs(path, ids):
    with stock.Model(path, context=64) as model:
        return np.stack([model.logits(row) for row in ids])


def error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def eight_bits(name, tmp):
    reference = load_file(pathlib.Path("tests/golden/models") / name / "reference.safetensors")
    ids, want = reference["input_ids"], reference["logits"]
    if name == "mistral":  # stock has no sliding window there: only what the window covers agrees
        ids, want = ids[:, :32], want[:, :32]
    file, wide = tmp / f"{name}.gguf", tmp / f"{name}.F32.gguf"
    quantize(pathlib.Path("tests/golden/models") / name, file, "Q8_0")
    quantize(file, wide, "F32")
    fast, exact = (ours(file, how, ids, want.shape[-1]) for how in ("fast", "exact"))
    stock_fast, stock_exact = theirs(file, ids), theirs(wide, ids)
    tap.ok(error(exact, stock_exact) < 3e-3, f"{name}: exact products of Q8_0 are stock's of the decoded weights",
           f"{error(exact, stock_exact):.1e}")
    a, b = error(fast, exact), error(stock_fast, stock_exact)
    tap.ok(a < 1.1 * b, f"{name}: activations in eight bits cost what they cost in stock", f"{a:.2e} and {b:.2e}")
    a, b = error(fast, want), error(stock_fast, want)
    tap.ok(a < 1.05 * b, f"{name}: so with the weights' own loss", f"{a:.2e} and {b:.2e}, exact products {error(exact, want):.2e}")


with tempfile.TemporaryDirectory() as tmp:
    for model in MODELS:
        tap.run(f"{model}: eight bits", eight_bits, model, pathlib.Path(tmp))
tap.done()
