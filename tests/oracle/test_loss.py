"""What quantization costs a trained model: perplexity and KL divergence beside stock llama.cpp's, same files.

usage: test_loss.py BUILD_DIR        (QUERN_SHARED: a folder with models/dev and text/eval_novels.txt;
                                      QUERN_WINDOWS: windows of 512 tokens, 58 for all of the text)

Stock runs the quantized files as they are: both round activations to eight bits, each in its own order of
sums, so the figures agree on the average and not token by token.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np

import stock
import tap
from program import QUERN, quern

LEVELS = ["Q4_0", "Q8_0", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K"]
ALL, WINDOWS = 58, int(os.environ.get("QUERN_WINDOWS", 6))
KL_BOUND = 0.03 if WINDOWS >= ALL else 0.05  # a few windows leave two per cent to chance
TEXT_BYTES = 120000
CONTEXT = 512
FIRST = CONTEXT // 2


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True, dtype=np.float64))


def stock_figures(files, text):
    """{level: (losses, divergences from the first file)} of the scored tokens, all files window by window."""
    models = {level: stock.Model(path, context=CONTEXT) for level, path in files.items()}
    first = next(iter(models.values()))
    ids = first.tokenize(text)
    found = {level: ([], []) for level in models}
    for at in range(0, len(ids) - CONTEXT + 1, CONTEXT)[:WINDOWS]:
        window = list(ids[at : at + CONTEXT])
        if stock.lib.llama_vocab_get_add_bos(first.vocab):
            window[0] = stock.lib.llama_vocab_bos(first.vocab)
        target = ids[at + FIRST + 1 : at + CONTEXT]
        base = None
        for level, model in models.items():
            log_p = log_softmax(model.logits(window)[FIRST : CONTEXT - 1])
            base = log_p if base is None else base
            found[level][0].append(-log_p[np.arange(len(target)), target])
            found[level][1].append((np.exp(base) * (base - log_p)).sum(axis=-1))
    for model in models.values():
        model.close()
    return {level: tuple(map(np.concatenate, pair)) for level, pair in found.items()}


def within(name, value, want, bound):
    off = value / want - 1
    tap.ok(abs(off) < bound, f"{name} is stock's", f"{value:.6g} and {want:.6g}, {100 * off:+.3f} %")


def compare(level, got, losses, divergences):
    tap.ok(got["scored_tokens"] == len(losses), f"dev {level}: the same tokens", str(len(losses)))
    bound = 5e-4 if level == "F16" else 5e-3
    within(f"dev {level}: perplexity", got["perplexity"]["value"], np.exp(losses.mean()), bound)
    if level != "F16":
        within(f"dev {level}: mean KL divergence", got["kl_mean"]["value"], divergences.mean(), KL_BOUND)


def lean(model, base, text):
    """The figures do not depend on threads, and memory is that of a window beside the models."""
    models, reports = sum(path.stat().st_size for path in (model, base)), []
    for threads in (1, 2):
        command = [QUERN, "eval", model, "-f", text, "--against", base, "--chunks", "4", "--json", "-q", "-t", str(threads)]
        with tempfile.TemporaryFile() as out:
            process, most = subprocess.Popen(command, stdout=out), {"VmHWM": 0, "RssAnon": 0}
            while process.poll() is None:
                for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name in most:
                        most[name] = max(most[name], 1024 * int(value.split()[0]))
                time.sleep(0.002)
            out.seek(0)
            reports.append(json.loads(out.read()))
        del reports[-1]["seconds"]
        beyond = most["VmHWM"] - models
        tap.ok(0 < most["RssAnon"] < 300e6 and beyond < 300e6, f"dev Q4_K_M: memory with {threads} threads is under 300 MB beside the models",
               f"{most['RssAnon'] / 1e6:.1f} MB anonymous, in all {beyond / 1e6:.1f} MB beyond their {models / 1e6:.1f}")
    tap.ok(reports[0] == reports[1], "dev Q4_K_M: the same figures for one and two threads")


def dev(shared, tmp):
    text = tmp / "text"
    text.write_bytes((shared / "text/eval_novels.txt").read_bytes()[:TEXT_BYTES])
    files = {"F16": tmp / "F16.gguf"} | {level: tmp / f"{level}.gguf" for level in LEVELS}
    for level, path in files.items():
        quern("convert" if level == "F16" else "quantize", shared / "models/dev", "-o", path, "--type", level, "-q")
    figures = stock_figures(files, text.read_bytes())
    for level, path in files.items():
        against = [] if level == "F16" else ["--against", files["F16"]]
        got = json.loads(quern("eval", path, "-f", text, "--chunks", WINDOWS, *against, "--json", "-q"))
        compare(level, got, *figures[level])
    lean(files["Q4_K_M"], files["F16"], text)


shared = os.environ.get("QUERN_SHARED")
if shared:
    with tempfile.TemporaryDirectory() as folder:
        tap.run("dev", dev, pathlib.Path(shared), pathlib.Path(folder))
else:
    tap.skip("dev: perplexity and divergence", "QUERN_SHARED names no folder with models/dev")
tap.done()
