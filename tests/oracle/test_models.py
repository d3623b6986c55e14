"""Converted models in stock llama.cpp: same logits as the reference implementation, same perplexity.

usage: test_models.py BUILD_DIR        (QUERN_SHARED: a folder with larger models and texts)
"""
import os
import pathlib
import tempfile

import numpy as np
from safetensors.numpy import load_file

import stock
import tap
from program import quern

MODELS = ["llama", "llama3", "llama_bf16", "llama_sharded", "deepseek_coder", "mistral", "qwen2", "qwen3"]
SAME_AS_LLAMA = {"llama_bf16", "llama_sharded"}  # folders without references of their own


def compare(name, folder, out):
    reference = load_file(folder / "reference.safetensors")
    ids, want = reference["input_ids"], reference["logits"]
    with stock.Model(out, context=64) as model:
        got = np.stack([model.logits(row) for row in ids])
    if name == "mistral":  # stock has no sliding window there: only what the window covers agrees
        got, want = got[:, :32], want[:, :32]
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    tap.ok(error < 5e-3, f"{name}: logits agree with the reference", f"relative error {error:.2e}")
    order = np.sort(want, axis=-1)
    clear = order[..., -1] - order[..., -2] > 0.1
    same = got.argmax(-1) == want.argmax(-1)
    tap.ok(bool(same[clear].all()), f"{name}: same top token where it is clear", f"{int(clear.sum())} positions")


def convert_and_compare(name, tmp):
    folder = pathlib.Path("tests/golden/models") / name
    out = pathlib.Path(tmp) / f"{name}.gguf"
    quern("convert", folder, "-o", out, "--type", "F16")
    quern("verify", out, folder)
    tap.ok(True, f"{name}: verify proves the conversion")
    if (folder / "reference.safetensors").exists():
        compare(name, folder, out)
    elif name in SAME_AS_LLAMA:
        with stock.Model(out, context=64) as model:
            tap.ok(bool(np.isfinite(model.logits(range(16))).all()), f"{name}: stock loads and runs it")


def dev_perplexity(tmp):
    shared = os.environ.get("QUERN_SHARED")
    name = "dev: perplexity as published"
    if not shared:
        return tap.skip(name, "QUERN_SHARED names no folder with models/dev")
    out = pathlib.Path(tmp) / "dev.gguf"
    quern("convert", pathlib.Path(shared) / "models/dev", "-o", out, "--type", "F16")
    text = (pathlib.Path(shared) / "text/eval_novels.txt").read_bytes()[:120000]
    with stock.Model(out) as model:
        value, chunks = model.perplexity(text)
    tap.ok(abs(value / 31.4166 - 1) < 1e-3 and chunks == 58, name, f"{value:.4f} over {chunks} windows, 31.4166 over 58 published")


with tempfile.TemporaryDirectory() as tmp:
    for model in MODELS:
        tap.run(f"{model}: converts", convert_and_compare, model, tmp)
    tap.run("dev: perplexity", dev_perplexity, tmp)
tap.done()
