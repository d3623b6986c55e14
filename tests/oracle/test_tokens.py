"""Tokenizers as GGUF keys: stock llama.cpp makes the token ids that Hugging Face makes.

usage: test_tokens.py BUILD_DIR        (QUERN_SHARED: a folder with real tokenizers)
"""
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile

import stock
import tap
from program import BUILD

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
# Texts of tests/golden/splitters.json, by number, that stock splits in its own way under that name.
MARKS = [12, 31, 34]  # its letters are \\p{L} alone, without the combining marks of Khmer, Hindi, e + acute
STOCK_SPLITS_OTHERWISE = {
    "gpt-4o": MARKS,
    "llama4": MARKS,
    "tekken": MARKS,
    "deepseek-coder": [32],  # wide spaces, which lie in its class of Chinese letters, stay with the word
    # Hugging Face looks for digits in byte letters (superscripts and fractions are some); stock leaves
    # digits with the space before them.
    "falcon": [11, 18, 25, 29, 33, 35, 37, 43, 49, 50],
}


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
        same = model.tokenize(text, add_special=False) == ids and model.tokenize(text) == ADDED.get(name, []) + special
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


def splitter(row, golden, tmp):
    """One splitter of tests/golden/splitters.json (make_splitters.py): found by name, and stock splits so."""
    folder, name = pathlib.Path(tmp) / "splitter", row["pre"]
    folder.mkdir(exist_ok=True)
    model = {"type": "BPE", "ignore_merges": row["ignore_merges"], "vocab": golden["vocab"], "merges": golden["merges"]}
    pre = {"type": "Sequence", "pretokenizers": row["pretokenizers"]}
    (folder / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": pre, "model": model}))
    (folder / "config.json").write_text(json.dumps({"model_type": row["model_type"]}))
    found, note = convert(folder, folder / "out.gguf")
    tap.ok(found == name and not note, f"splitter {name}: recognised", found + note)
    with stock.Model(folder / "out.gguf", vocab_only=True) as model:
        pairs = zip(golden["texts"], golden["results"][row["result"]])
        wrong = {text for text, ids in pairs if model.tokenize(text, add_special=False) != ids}
    known = {golden["texts"][i] for i in STOCK_SPLITS_OTHERWISE.get(name, [])}
    tap.ok(wrong == known, f"splitter {name}: stock splits so", f"{len(golden['texts']) - len(known)} texts" if wrong == known else f"differs in {[golden['texts'].index(x) for x in wrong ^ known]}")


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
    golden = json.loads((GOLDEN / "splitters.json").read_text())
    for row in golden["splitters"]:
        tap.run(f"splitter {row['pre']}", splitter, row, golden, tmp)
    tap.run("names", names_are_stocks, tmp)
tap.done()
