"""Files made with calibration, run by stock llama.cpp: GPTQ and types by sensitivity are better there, too.

usage: test_calibrated.py BUILD_DIR
"""
import pathlib
import tempfile

import gguf
import numpy as np

import stock
import tap
from program import quern

DEMO = pathlib.Path("examples/demo")
LEARN = pathlib.Path("examples/calibration.txt")
CONTEXT, WINDOWS = 256, 8


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def log_p(path, text):
    with stock.Model(path, context=CONTEXT) as model:
        ids = model.tokenize(text)
        return np.concatenate([log_softmax(model.logits(ids[i * CONTEXT : (i + 1) * CONTEXT])[CONTEXT // 2 :]) for i in range(WINDOWS)])


def quality(tmp):
    text = pathlib.Path("examples/evaluation.txt").read_bytes()[:20000]
    source, calib, probe = tmp / "f16.gguf", tmp / "calib.h5", tmp / "probe.txt"
    probe.write_bytes(LEARN.read_bytes()[:8000])
    quern("convert", DEMO, "-o", source, "--type", "F16", "-q")
    quern("calibrate", source, "-f", LEARN, "-o", calib, "--chunks", 8, "-q")
    base = log_p(source, text)
    kl = {}
    for name, options in {
        "plain": ["--type", "Q3_K_M"],
        "importance": ["--type", "Q3_K_M", "--calib", calib, "--method", "rtn"],
        "gptq": ["--type", "Q3_K_M", "--calib", calib, "--method", "gptq"],
        "default": ["--type", "Q3_K_M", "--calib", calib],
        "like": ["--like", "Q3_K_M", "--calib", calib, "--probe", probe, "--quality", "fast"],
    }.items():
        out = tmp / f"{name}.gguf"
        quern("quantize", source, "-o", out, *options, "-q")
        q = log_p(out, text)
        kl[name] = float((np.exp(base) * (base - q)).sum(axis=-1).mean())
    for better, worse, factor in [("importance", "plain", 1.0), ("gptq", "importance", 0.9), ("default", "importance", 0.9), ("like", "default", 0.9)]:
        tap.ok(kl[better] < factor * kl[worse], f"Q3_K_M in stock: {better} is better than {worse}", f"{kl[better]:.5f} and {kl[worse]:.5f}")
    sizes = {name: (tmp / f"{name}.gguf").stat().st_size for name in kl}
    tap.ok(sizes["like"] <= sizes["plain"], "types of its own choice in no more bytes", str(sizes))


def keys(tmp):
    fields = gguf.GGUFReader(tmp / "default.gguf").fields
    tap.ok(fields["quern.calibration.method"].contents() == "awq+gptq, best" and fields["quern.calibration.text"].contents() == LEARN.name
           and fields["quern.calibration.tokens"].contents() == 8 * 512, "the file says how it was calibrated")
    tap.ok(not [k for k in gguf.GGUFReader(tmp / "plain.gguf").fields if k.startswith("quern.")], "a plain file says nothing of that")


with tempfile.TemporaryDirectory() as folder:
    tap.run("quality", quality, pathlib.Path(folder))
    tap.run("keys", keys, pathlib.Path(folder))
tap.done()
