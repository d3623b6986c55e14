"""Tokenizers as GGUF keys: stock llama.cpp makes the token ids that Hugging Face makes.

usage: test_tokens.py BUILD_DIR        (QUERN_SHARED: a folder with real tokenizers)
"""
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import stock
import tap

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
GOLDEN = pathlib.Path("tests/golden")
SPLITTERS = {
    "deepseek_coder": "qwen2", "deepseek_v3": "deepseek-v3", "gemma3": "", "llama": "", "llama2": "",
    "llama3": "llama-bpe", "mistral": "", "qwen2": "qwen2", "qwen3": "qwen2",
}

# Where stock cannot agree, whatever the file says: (tokenizer, text): why
STOCK_DIFFERS = {
    ("qwen3", "<s>hi</s>"): "stock makes the plain piece </s> a control token, by its text",
    ("qwen3", "e\u0301 \u00e9 \u212b \ufb01 \u00bd \u2167"): "stock has no normalizer, so no NFC",
}
# The beginning of a text, where tokenizer.json alone (as the golden ids were made) puts nothing:
# stock's habit for the splitter, or tokenizer_config.json's add_bos_token.
ADDED = {"llama3": [128000], "deepseek_v3": [0]}


def convert(folder, out, *rest):
    done = subprocess.run([BUILD / "tests/formats/tokenizer_file", folder, out, *map(str, rest)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.split("\n", 1)


def golden_model(name, tmp):
    folder = GOLDEN / "models" / name
    reference = json.loads((folder / "reference_tokens.json").read_text())
    out = pathlib.Path(tmp) / f"{name}.gguf"
    pre, note = convert(folder, out, json.loads((folder / "config.json").read_text())["vocab_size"])
    tap.ok(pre == SPLITTERS[name] and not note, f"{name}: splitter recognised", pre + note)
    with stock.Model(out, vocab_only=True) as model:
        for i, (text, ids) in enumerate(zip(reference["texts"], reference["ids"])):
            tap.ok(model.tokenize(text) == ids, f"{name}: text {i}")


def differences(model, name, cases):
    for case in cases:
        text, ids, special = case["text"], case["ids"], case["ids_special"]
        same = model.tokenize(text, special=False) == ids and model.tokenize(text) == ADDED.get(name, []) + special
        if same == ((name, text) in STOCK_DIFFERS):
            yield text


def real_tokenizer(name, tmp, shared):
    archive = pathlib.Path(shared or "") / "tokenizers" / f"{name}.tar.xz"
    if not shared or not archive.exists():
        return tap.skip(f"{name}: real tokenizer", "QUERN_SHARED names no folder with tokenizers/")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp, filter="data")
    golden = json.loads((GOLDEN / "tokens" / f"{name}.json").read_text())
    out = pathlib.Path(tmp) / f"{name}.real.gguf"
    rows = golden["vocab_size"] + 64
    pre, note = convert(pathlib.Path(tmp) / name, out, rows)
    tap.ok(pre == SPLITTERS[name] and not note, f"{name}: splitter recognised", pre + note)
    with stock.Model(out, vocab_only=True) as model:
        tap.ok(model.size == rows, f"{name}: padded to {rows}")
        wrong = list(differences(model, name, golden["cases"]))
        tap.ok(not wrong, f"{name}: real tokenizer", f"of {len(golden['cases'])} texts wrong: {wrong}" if wrong else f"{len(golden['cases'])} texts")


def names_are_stocks(tmp):
    names = subprocess.run([BUILD / "tests/formats/tokenizer_file", "names"], capture_output=True, text=True, check=True).stdout.split()
    refused = []
    for name in names:
        out = pathlib.Path(tmp) / "name.gguf"
        convert(GOLDEN / "models/qwen2", out, 0, name)
        try:
            stock.Model(out, vocab_only=True).close()
        except RuntimeError:
            refused.append(name)
    tap.ok(not refused, "every name in the list is one that stock loads", " ".join(refused) or f"{len(names)} names")


with tempfile.TemporaryDirectory() as tmp:
    for model in ["llama", "llama3", "deepseek_coder", "mistral", "qwen2", "qwen3"]:
        tap.run(f"{model}: tokens", golden_model, model, tmp)
    for tokenizer in ["llama2", "llama3", "qwen3", "gemma3", "deepseek_v3"]:
        tap.run(f"{tokenizer}: real tokenizer", real_tokenizer, tokenizer, tmp, os.environ.get("QUERN_SHARED"))
    tap.run("names", names_are_stocks, tmp)
tap.done()
