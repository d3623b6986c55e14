"""KL base files: what quern writes, read with numpy; what numpy writes of stock's logits, read by quern.

usage: test_base_file.py BUILD_DIR

The format as llama-perplexity has it, all little-endian: "_logits_", int32 context, vocabulary and windows, the
int32 tokens of all windows, and for each position from context / 2 up to the last but one of each window
float32 step and least and uint16 levels (the vocabulary rounded up to an even number):
log p = least + step * level, the levels from max(least logit, likeliest - 16) up.
"""
import json
import pathlib
import tempfile

import numpy as np

import stock
import tap
from program import quern

GOLDEN = pathlib.Path("tests/golden/models")
TEXT = pathlib.Path("LICENSE").read_bytes()[:1500]
CONTEXT, WINDOWS = 64, 4
FIRST = CONTEXT // 2


def row_bytes(vocab):
    return 8 + 2 * (vocab + vocab % 2)


def read(path):
    data = path.read_bytes()
    context, vocab, windows = np.frombuffer(data, "<i4", 3, 8)
    tokens = np.frombuffer(data, "<i4", windows * context, 20).reshape(windows, context)
    count = int(windows) * (int(context) - 1 - int(context) // 2)
    rows = np.frombuffer(data, np.uint8, offset=20 + tokens.nbytes).reshape(count, row_bytes(int(vocab)))
    head = rows[:, :8].copy().view("<f4").astype(np.float64)
    levels = rows[:, 8 : 8 + 2 * int(vocab)].copy().view("<u2")
    return data[:8], tokens, head[:, 1:] + head[:, :1] * levels, head[:, 0]


def write(path, tokens, logits):
    """All arithmetic in float32 but the sum, as llama-perplexity does it."""
    vocab = logits.shape[-1]
    with open(path, "wb") as f:
        f.write(b"_logits_" + np.array([tokens.shape[1], vocab, len(tokens)], "<i4").tobytes())
        f.write(tokens.astype("<i4").tobytes())
        for x in logits:
            most = x.max()
            least = max(x.min(), most - np.float32(16))
            total = np.float32(np.log(np.exp(x - most).astype(np.float64).sum()))
            step = (most - least) / np.float32(65535)
            levels = np.where(x > least, np.rint(np.float32(1) / step * (x - least)), 0)
            f.write(np.array([step, least - most - total], "<f4").tobytes() + levels.astype("<u2").tobytes())
            f.write(b"\0\0" * (vocab % 2))


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def stock_logits(path):
    """The tokens of the windows, and the logits of their scored positions."""
    with stock.Model(path, context=CONTEXT) as model:
        tokens = np.array(model.tokenize(TEXT))[: CONTEXT * WINDOWS].reshape(WINDOWS, CONTEXT)
        input = tokens.copy()
        if stock.lib.llama_vocab_get_add_bos(model.vocab):
            input[:, 0] = stock.lib.llama_vocab_bos(model.vocab)
        return tokens, np.concatenate([model.logits(window)[FIRST : CONTEXT - 1] for window in input])


def written(base, text, tmp):
    path = tmp / "quern.kld"
    quern("eval", base, "-f", text, "-c", CONTEXT, "--chunks", WINDOWS, "--save-base", path, "--exact", "-q")
    start, tokens, log_p, steps = read(path)
    want_tokens, logits = stock_logits(base)
    tap.ok(start == b"_logits_" and np.array_equal(tokens, want_tokens), "the file has stock's tokens, windows, vocabulary")
    x = logits.astype(np.float64)
    want = np.maximum(x, x.max(axis=-1, keepdims=True) - 16) - x.max(axis=-1, keepdims=True)
    want -= np.log(np.exp(x - x.max(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True))
    off = np.abs(log_p - want).max()
    tap.ok(log_p.shape == want.shape and off < 0.02, "its predictions are stock's", f"largest difference {off:.2g} nats")
    again = tmp / "numpy.kld"
    exact = read(path)[2]
    write(again, tokens, exact.astype(np.float32))
    tap.ok(np.abs(read(again)[2] - exact).max() < steps.max(), "numpy's file of them is the same within a step")


def compared(model, base, tmp):
    """Levels, their floor and the divergence are numpy's; the model's side is quern's, from its own file."""
    tokens, logits = stock_logits(base)
    path, own = tmp / "stock.kld", tmp / "own.kld"
    write(path, tokens, logits)
    got = json.loads(quern("eval", model, "--base", path, "--json", "-q", "--exact"))
    with stock.Model(model, vocab_only=True) as m:
        ids = tmp / "ids.json"
        ids.write_text(json.dumps([int(i) for i in tokens.ravel()]))
        assert m.size == logits.shape[-1]
    quern("eval", model, "--tokens", ids, "-c", CONTEXT, "--save-base", own, "--exact", "-q")
    p, q = read(path)[2], read(own)[2]
    kl = np.where(p > -16, np.exp(p) * (p - q), 0).sum(axis=-1)
    target = tokens[:, FIRST + 1 :].ravel()
    losses = [-log_p[np.arange(len(target)), target].mean() for log_p in (p, q)]
    for name, value, want in [
        ("mean divergence", got["kl_mean"]["value"], kl.mean()),
        ("median divergence", got["kl_median"]["value"], np.median(kl)),
        ("largest divergence", got["kl_max"]["value"], kl.max()),
        ("perplexity", got["perplexity"]["value"], np.exp(losses[1])),
        ("the source's perplexity", got["source_perplexity"]["value"], np.exp(losses[0])),
    ]:
        tap.ok(abs(value / want - 1) < 2e-3, f"{name} against stock's predictions is numpy's", f"{value:.6g}, {want:.6g}")
    same = (p.argmax(-1) == q.argmax(-1)).mean()
    tap.ok(abs(got["same_top"]["value"] - same) < 0.01, "so is the same top token", f"{got['same_top']['value']:.4f}, {same:.4f}")
    tap.ok(got["windows"] == WINDOWS and got["against"] == str(path), "windows are those of the file")


def side_by_side(model, base, text, tmp):
    """By way of a file or not: the same divergence."""
    path = tmp / "both.kld"
    common = ["-f", text, "-c", CONTEXT]
    quern("eval", base, *common, "--save-base", path, "-q")
    a = json.loads(quern("eval", model, *common, "--against", base, "--json", "-q"))
    b = json.loads(quern("eval", model, "--base", path, "--json", "-q"))
    tap.ok(a["perplexity"] == b["perplexity"] and a["scored_tokens"] == b["scored_tokens"], "a file keeps windows and losses")
    for key in ["kl_mean", "kl_90", "kl_max", "p_change_rms", "source_perplexity"]:
        x, y = a[key]["value"], b[key]["value"]
        tap.ok(abs(x / y - 1) < 2e-3, f"{key} by way of a file", f"{x:.6g}, {y:.6g}")
    one, two = tmp / "one.kld", tmp / "two.kld"
    quern("eval", base, *common, "--save-base", one, "-t", 1, "-q")
    quern("eval", base, *common, "--save-base", two, "-t", 2, "-q")
    tap.ok(one.read_bytes() == two.read_bytes(), "the same bytes for one and two threads")


def noise(base, model, text, tmp):
    """The floor is the divergence of the source from its own exact predictions."""
    path = tmp / "exact.kld"
    common = ["-f", text, "-c", CONTEXT]
    quern("eval", model, *common, "--chunks", 4, "--exact", "--cache-type", "F32", "--save-base", path, "-q")
    want = json.loads(quern("eval", model, "--base", path, "--json", "-q"))["kl_mean"]["value"]
    got = json.loads(quern("eval", base, *common, "--against", model, "--json", "-q"))["kl_noise"]["value"]
    tap.ok(want > 0 and abs(got / want - 1) < 0.02, "the noise floor is that of the arithmetic", f"{got:.3g}, {want:.3g}")


with tempfile.TemporaryDirectory() as folder:
    tmp = pathlib.Path(folder)
    text, base, model = tmp / "text.txt", tmp / "base.gguf", tmp / "model.gguf"
    text.write_bytes(TEXT)
    quern("convert", GOLDEN / "llama", "-o", base, "--type", "F16")
    quern("quantize", GOLDEN / "llama", "-o", model, "--type", "Q4_0")
    tap.run("written", written, base, text, tmp)
    tap.run("compared", compared, model, base, tmp)
    tap.run("noise", noise, base, model, text, tmp)
    tap.run("side by side", side_by_side, model, base, text, tmp)
tap.done()
