"""quern eval beside stock llama.cpp: perplexity of every architecture and rope scaling, KL divergence.

usage: test_eval.py BUILD_DIR
"""
import json
import pathlib
import shutil
import tempfile

import numpy as np

import stock
import tap
from program import quern, run

GOLDEN = pathlib.Path("tests/golden/models")
TEXT = pathlib.Path("LICENSE").read_bytes()[:1500]
CONTEXT = 64
YARN = {"rope_theta": 10000.0, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def evaluate(*args):
    return json.loads(quern("eval", *args, "--json", "-q"))


def altered(name, tmp, **config):
    """A golden model with other values in its config."""
    folder = pathlib.Path(tmp) / ("altered_" + name)
    shutil.copytree(GOLDEN / name, folder, dirs_exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


def convert(folder, tmp, name, weights="F16"):
    out = pathlib.Path(tmp) / f"{name}.{weights}.gguf"
    quern("quantize" if weights[0] == "Q" else "convert", folder, "-o", out, "--type", weights, "--force")
    return out


def perplexity(name, folder, text, tmp, **options):
    out = convert(folder, tmp, name)
    got = evaluate(out, "-f", text, "-c", CONTEXT)
    with stock.Model(out, context=CONTEXT, **options) as model:
        want, windows = model.perplexity(TEXT, CONTEXT)
    error = got["perplexity"]["value"] / want - 1
    tap.ok(abs(error) < 5e-4 and got["windows"] == windows, f"{name}: perplexity is stock's",
           f"{got['perplexity']['value']:.4f} and {want:.4f} over {windows} windows")
    return got["perplexity"]["value"]


def scalings_matter(text, tmp):
    plain = perplexity("llama", GOLDEN / "llama", text, tmp)
    betas = {"beta_fast": 8.0, "beta_slow": 2.0}
    told = {"yarn_beta_fast": 8.0, "yarn_beta_slow": 2.0}  # of a llama's file stock does not read them
    for name, rope, options in [
        ("linear", {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}, {}),
        ("yarn", YARN, {}),
        ("yarn of less magnitude", YARN | {"attention_factor": 0.7}, {}),
        ("yarn with other betas", YARN | betas, told),
    ]:
        folder = altered("llama", tmp, rope_parameters=rope)
        scaled = perplexity(name, folder, text, tmp, **options)
        tap.ok(abs(scaled / plain - 1) > 2e-3, f"{name}: is not the unscaled model", f"{scaled:.4f}, {plain:.4f}")


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def stock_divergences(model, base, text, context, windows):
    """KL(base || model) and the same top token, from stock's logits of both."""
    with stock.Model(model, context=context) as a, stock.Model(base, context=context) as b:
        ids = a.tokenize(text)
        bos = stock.lib.llama_vocab_bos(a.vocab) if stock.lib.llama_vocab_get_add_bos(a.vocab) else None
        kl, same = [], []
        for at in range(0, len(ids) - context + 1, context)[:windows]:
            window = list(ids[at : at + context])
            if bos is not None:
                window[0] = bos
            p, q = (log_softmax(m.logits(window)[context // 2 : context - 1]) for m in (b, a))
            kl.append((np.exp(p) * (p - q)).sum(axis=-1))
            same.append(p.argmax(-1) == q.argmax(-1))
    return np.concatenate(kl), np.concatenate(same)


def divergence(name, model, base, text, context, windows):
    """In f32 on decoded weights: stock, which rounds activations to eight bits where weights are blocks, is
    given them decoded."""
    got = evaluate(model, "-f", text, "--against", base, "-c", context, "--chunks", windows, "--exact")
    wide = [path.with_suffix(".F32.gguf") for path in (model, base)]
    for path, to in zip((model, base), wide):
        quern("quantize", path, "-o", to, "--type", "F32", "--allow-requantize", "--force")
    kl, same = stock_divergences(*wide, text.read_bytes(), context, windows)
    tap.ok(got["scored_tokens"] == len(kl), f"{name}: the same tokens", str(len(kl)))
    for key, want in [("kl_mean", kl.mean()), ("kl_median", np.median(kl)), ("kl_90", np.quantile(kl, 0.9))]:
        value = got[key]["value"]
        tap.ok(abs(value / want - 1) < 0.03, f"{name}: {key} is stock's", f"{value:.6f} and {want:.6f}")
    value = got["same_top"]["value"]
    tap.ok(abs(value - same.mean()) < 0.005, f"{name}: same top token", f"{value:.4f} and {same.mean():.4f}")


def golden_divergence(text, tmp):
    base = convert(GOLDEN / "llama", tmp, "llama")
    model = convert(GOLDEN / "llama", tmp, "llama", "Q4_0")
    divergence("llama Q4_0", model, base, text, CONTEXT, 8)
    one = evaluate(model, "-f", text, "--against", base, "-c", CONTEXT, "-t", 1)
    two = evaluate(model, "-f", text, "--against", base, "-c", CONTEXT, "-t", 2)
    del one["seconds"], two["seconds"]
    tap.ok(one == two, "the same figures for one and two threads")
    itself = evaluate(base, "-f", text, "--against", base, "-c", CONTEXT)
    tap.ok(itself["kl_max"]["value"] == 0 and itself["same_top"]["value"] == 1, "a model does not diverge from itself")


def strides(text, tmp):
    """Windows of context + stride / 2 tokens begin `stride` after one another; the last `stride` are scored."""
    out = convert(GOLDEN / "llama", tmp, "llama")
    with stock.Model(out, context=2 * CONTEXT) as model:
        ids = np.array(model.tokenize(TEXT))
        bos = stock.lib.llama_vocab_bos(model.vocab) if stock.lib.llama_vocab_get_add_bos(model.vocab) else None
        for stride in (16, 33):
            size, losses = CONTEXT + stride // 2, []
            for at in range(0, len(ids) - size, stride):
                window = ids[at : at + size].copy()
                if bos is not None:
                    window[0] = bos
                log_p = log_softmax(model.logits(window)[size - stride - 1 : size - 1])
                losses.append(-log_p[np.arange(stride), ids[at + size - stride : at + size]])
            got, want = evaluate(out, "-f", text, "-c", CONTEXT, "--stride", stride), np.exp(np.mean(losses))
            value = got["perplexity"]["value"]
            counts = [got[key] for key in ("windows", "window_tokens", "window_step", "scored_tokens")]
            tap.ok(counts == [len(losses), size, stride, len(losses) * stride], f"stride {stride}: the windows", f"{counts}")
            tap.ok(abs(value / want - 1) < 5e-4, f"stride {stride}: perplexity is that of stock's logits", f"{value:.4f} and {want:.4f}")


def tokens_instead_of_text(text, tmp):
    out = convert(GOLDEN / "llama", tmp, "llama")
    with stock.Model(out, vocab_only=True) as model:
        ids = model.tokenize(TEXT)
    path = pathlib.Path(tmp) / "tokens.json"
    path.write_text(json.dumps(ids))
    a, b = evaluate(out, "--tokens", path, "-c", CONTEXT), evaluate(out, "-f", text, "-c", CONTEXT)
    tap.ok(a["perplexity"] == b["perplexity"], "stock's tokens give the same perplexity as the text")


def bad_input(text, tmp):
    out = convert(GOLDEN / "llama", tmp, "llama")
    empty, odd = pathlib.Path(tmp) / "empty.txt", pathlib.Path(tmp) / "odd.txt"
    empty.write_bytes(b"")
    odd.write_bytes(b"\xff\xfe\x00 broken \xc3" * 100)
    wrong = pathlib.Path(tmp) / "wrong.json"
    wrong.write_text("[1, 2, 400]" * 40)
    for name, code, args in [
        ("an empty text", 2, [out, "-f", empty]),
        ("a text shorter than a window", 2, [out, "-f", text, "-c", 4096]),
        ("no text", 2, [out]),
        ("a token beyond the vocabulary", 2, [out, "--tokens", wrong, "-c", 64]),
        ("a folder", 2, [GOLDEN / "llama", "-f", text]),
        ("a cache of another type", 2, [out, "-f", text, "-c", 64, "--cache-type", "Q4_0"]),
        ("a text that is not there", 1, [out, "-f", pathlib.Path(tmp) / "none"]),
    ]:
        done = run("eval", *args, "-q")
        tap.ok(done.returncode == code and done.stderr.count("\n") == 1 and not done.stdout,
               f"{name} is one sentence", done.stderr.strip())
    got = evaluate(out, "-f", odd, "-c", CONTEXT)
    tap.ok(np.isfinite(got["perplexity"]["value"]), "a text that is no UTF-8 has a perplexity")


with tempfile.TemporaryDirectory() as tmp:
    text = pathlib.Path(tmp) / "text.txt"
    text.write_bytes(TEXT)
    for model in ["llama3", "deepseek_coder", "qwen2", "qwen3"]:
        tap.run(f"{model}: perplexity", perplexity, model, GOLDEN / model, text, tmp)
    tap.run("rope scalings", scalings_matter, text, tmp)
    tap.run("divergence", golden_divergence, text, tmp)
    tap.run("strides", strides, text, tmp)
    tap.run("tokens", tokens_instead_of_text, text, tmp)
    tap.run("bad input", bad_input, text, tmp)
tap.done()
