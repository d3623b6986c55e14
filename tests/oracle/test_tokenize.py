"""quern's own tokenizers: the token ids and texts of Hugging Face and of stock llama.cpp.

usage: test_tokenize.py BUILD_DIR        (QUERN_SHARED: a folder with real tokenizers)
"""
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile

import quern_tokens
import stock
import tap
import tokens_random
from program import BUILD

GOLDEN = pathlib.Path("tests/golden")
# What tokenizer_config.json or the splitter's habit puts before a text, where tokenizer.json alone (as
# the golden ids were made) puts nothing.
ADDED = {"llama3": [128000], "deepseek_v3": [0]}
STOCK_DIFFERS = {
    "qwen3": ["e\u0301 \u00e9 \u212b \ufb01 \u00bd \u2167"],  # stock does not compose
    "gemma3": ["<s>hi</s>"],  # stock makes </s> a control token, by its text
}
# Texts of tests/golden/splitters.json, by number, where stock leaves Hugging Face and quern does not.
MARKS = [12, 31, 34]  # stock's letters are \\p{L} alone, without combining marks
STOCK_SPLITS_OTHERWISE = {
    **dict.fromkeys(["gpt-4o", "llama4", "minimax-m2", "tekken", "kanana2", "talkie", "kimi-k2"], MARKS),
    **dict.fromkeys(["deepseek-coder", "deepseek-llm"], [32]),  # wide spaces
    **dict.fromkeys(["tiny_aya", "cohere2moe"], [18, 25]),  # digits in threes
    "falcon": [25, 29, 31, 50],  # stock has no step for digits
}
# quern composes the text for these names; splitters.json was made without a normalizer, as stock is.
COMPOSED = {31}
COMPOSING = {"command-r", "deepseek-r1-qwen", "f2llmv2", "megrez", "modern-bert", "mpt", "olmo", "qwen2", "qwen35", "stablelm2", "tiny_aya", "cohere2moe"}
# Hugging Face looks for falcon's digits in byte letters.
FALCON = {11, 18, 31, 33, 35, 37, 43, 49}
# Names of tokenizers that are no byte-level BPE.
OTHER_KINDS = {"gemma4", "granite-embed-multi-311m", "mmbert", "sarvam-moe", "whitespace"}


def convert(folder, out, *rest):
    subprocess.run([BUILD / "tests/formats/tokenizer_file", folder, out, *map(str, rest)], check=True, stdout=subprocess.DEVNULL)


def golden_model(name):
    """The GGUF that convert makes, and the folder itself."""
    folder = GOLDEN / "models" / name
    reference = json.loads((folder / "reference_tokens.json").read_text())
    ids = quern_tokens.ask(BUILD, folder, reference["texts"])
    tap.ok(ids == reference["ids"], f"{name}: ids of {len(ids)} texts", f"{ids} for {reference['ids']}" if ids != reference["ids"] else "")
    texts = quern_tokens.ask(BUILD, folder, ids, "--no-parse-special")
    tap.ok(texts == reference["texts"], f"{name}: decoded", "" if texts == reference["texts"] else str(texts))


def real_tokenizer(name, tmp, shared):
    archive = pathlib.Path(shared or "") / "tokenizers" / f"{name}.tar.xz"
    if not shared or not archive.exists():
        return tap.skip(f"{name}: real tokenizer", "QUERN_SHARED names no folder with tokenizers/")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp, filter="data")
    golden = json.loads((GOLDEN / "tokens" / f"{name}.json").read_text())
    cases, out = golden["cases"], pathlib.Path(tmp) / f"{name}.gguf"
    convert(pathlib.Path(tmp) / name, out, golden["vocab_size"])
    texts = [case["text"] for case in cases]
    checks = {
        "ids": (quern_tokens.plain(BUILD, out, texts), [case["ids"] for case in cases]),
        "ids with special tokens": (quern_tokens.ask(BUILD, out, texts), [ADDED.get(name, []) + case["ids_special"] for case in cases]),
        "decoded": (quern_tokens.ask(BUILD, out, [case["ids"] for case in cases]), [case["decoded"] for case in cases]),
    }
    for what, (seen, wanted) in checks.items():
        wrong = [text for text, a, b in zip(texts, seen, wanted) if a != b]
        tap.ok(not wrong, f"{name}: {what} of {len(texts)} texts", str(wrong) if wrong else "")
    with stock.Model(out, vocab_only=True) as model:
        plain = [model.tokenize(text, parse_special=False) for text in texts]
        known = STOCK_DIFFERS.get(name, [])
        seen = quern_tokens.ask(BUILD, out, texts, "--no-parse-special")
        wrong = [text for text, a, b in zip(texts, seen, plain) if a != b]
        tap.ok(wrong == known, f"{name}: control tokens as plain text, as stock", str(wrong))


def splitter(row, golden, tmp):
    folder, name = pathlib.Path(tmp) / "splitter", row["pre"]
    folder.mkdir(exist_ok=True)
    model = {"type": "BPE", "ignore_merges": row["ignore_merges"], "vocab": golden["vocab"], "merges": golden["merges"]}
    pre = {"type": "Sequence", "pretokenizers": row["pretokenizers"]}
    (folder / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": pre, "model": model}))
    (folder / "config.json").write_text(json.dumps({"model_type": row["model_type"]}))
    convert(folder, folder / "out.gguf")
    ids = quern_tokens.plain(BUILD, folder / "out.gguf", golden["texts"])
    wrong = [i for i, (a, b) in enumerate(zip(ids, golden["results"][row["result"]])) if a != b]
    known = sorted((FALCON if name == "falcon" else set()) | (COMPOSED if name in COMPOSING else set()))
    tap.ok(wrong == known, f"splitter {name}: as Hugging Face", f"differs in {wrong}" if wrong != known else f"{len(ids) - len(known)} texts")


def names_like_stock(golden, tmp):
    """Every name of a byte-level BPE splits as stock does under that name."""
    folder = pathlib.Path(tmp) / "named"
    folder.mkdir()
    model = {"type": "BPE", "vocab": golden["vocab"], "merges": golden["merges"]}
    (folder / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": {"type": "ByteLevel"}, "model": model}))
    listed = subprocess.run([BUILD / "tests/formats/tokenizer_file", "names"], capture_output=True, text=True, check=True)
    different, names = [], [name for name in listed.stdout.split() if name not in OTHER_KINDS]
    for name in names:
        out = folder / "out.gguf"
        convert(folder, out, 0, name)
        ids = quern_tokens.plain(BUILD, out, golden["texts"])
        with stock.Model(out, vocab_only=True) as model:
            wrong = {i for i, (text, a) in enumerate(zip(golden["texts"], ids)) if model.tokenize(text, add_special=False) != a}
        if wrong != set(STOCK_SPLITS_OTHERWISE.get(name, [])) | (COMPOSED if name in COMPOSING else set()):
            different.append((name, wrong))
    tap.ok(not different, f"{len(names)} names split as stock's", str(different))


def random_texts(name):
    folder = GOLDEN / "models" / name
    wrong, count = tokens_random.compare(BUILD, folder, folder / "tokenizer.json", 300)
    tap.ok(not wrong, f"{name}: {count} random texts, as Hugging Face", str(wrong[:3]))


def main():
    shared = os.environ.get("QUERN_SHARED")
    with tempfile.TemporaryDirectory() as tmp:
        for folder in sorted((GOLDEN / "models").iterdir()):
            if (folder / "reference_tokens.json").exists():
                tap.run(f"{folder.name}: tokens", golden_model, folder.name)
        for name in ["llama2", "llama3", "qwen3", "gemma3", "deepseek_v3"]:
            tap.run(f"{name}: real tokenizer", real_tokenizer, name, tmp, shared)
        golden = json.loads((GOLDEN / "splitters.json").read_text())
        for row in golden["splitters"]:
            tap.run(f"splitter {row['pre']}", splitter, row, golden, tmp)
        tap.run("names", names_like_stock, golden, tmp)
        for name in ["llama", "llama3", "qwen2", "qwen3", "mistral"]:
            tap.run(f"{name}: random texts", random_texts, name)
    tap.done()


main()
