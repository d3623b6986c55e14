"""Writes tests/golden/splitters.json: what Hugging Face's tokenizers (PyPI) makes of awkward texts with
each splitter that stock llama.cpp has a name for.  One small BPE, trained on the texts without any
splitter, so that its merges cross every boundary a splitter may draw.

    python3 tests/oracle/make_splitters.py tests/golden/tokens/llama3.json tests/golden/splitters.json
"""
import json
import sys

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPELLED_OUT = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SLASH = REST.replace(r"[\r\n]*", r"[\r\n/]*")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LLAMA3 = rf"{CONTRACTION}|{WORD}|\p{{N}}{{1,3}}|{REST}"
QWEN2 = rf"{CONTRACTION}|{WORD}|\p{{N}}|{REST}"
TIKTOKEN = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
BAILING = TIKTOKEN.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = rf"{CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SEED = rf"{CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
EXAONE = rf"{CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
WIDE = "|".join(rf"\s{{{n}}}(?!\S)" for n in ["512", "256", "128", "64", "32", "16", "8", "4", "1,2"])
JAIS2 = rf"{CONTRACTION}|{WORD}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|{WIDE}|\s{{1}}"
CJK, HANGUL = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
DEEPSEEK3 = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
BLOOM = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"


def cased(end):
    lead = r"[^\r\n\p{L}\p{N}]?"
    return f"{lead}{UPPER}*{LOWER}+{end}|{lead}{UPPER}+{LOWER}*{end}"


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def kept(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Removed", "invert": True}


def digits(one_by_one):
    return {"type": "Digits", "individual_digits": one_by_one}


def byte_level(use_regex=False):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


GPT2, LETTERS = byte_level(True), byte_level()
GPT4O = split(cased(CONTRACTION + "?") + r"|\p{N}{1,3}|" + SLASH)

# name, model_type, ignore_merges, steps
SPLITTERS = [
    ("llama-bpe", "llama", True, [split(LLAMA3), LETTERS]),
    ("llama-bpe", "llama", True, [split(LLAMA3.replace(CONTRACTION, SPELLED_OUT)), LETTERS]),
    ("llama-bpe", "llama", True, [kept(LLAMA3), LETTERS]),
    ("dbrx", "dbrx", False, [split(LLAMA3), LETTERS]),
    ("dbrx", "olmo2", False, [split(TIKTOKEN), LETTERS]),
    ("glm4", "glm4", False, [split(LLAMA3), LETTERS]),
    ("qwen2", "qwen2", False, [split(QWEN2), LETTERS]),
    ("stablelm2", "stablelm", False, [split(QWEN2), LETTERS]),
    ("bailingmoe", "bailing_moe", False, [split(BAILING), LETTERS]),
    ("qwen35", "qwen3_5", False, [split(QWEN35), LETTERS]),
    ("seed-coder", "llama", False, [split(SEED), LETTERS]),
    ("exaone-moe", "exaone_moe", False, [split(EXAONE), LETTERS]),
    ("jais-2", "jais2", False, [split(JAIS2), LETTERS]),
    ("minicpm5", "llama", True, [split(r"\p{N}{1,3}"), split(rf"{CONTRACTION}|{WORD}|\p{{N}}+|{REST}"), LETTERS]),
    ("deepseek-v3", "deepseek_v3", False, [split(r"\p{N}{1,3}"), split(CJK), split(DEEPSEEK3), LETTERS]),
    ("deepseek-coder", "llama", False, [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(HANGUL), digits(True), LETTERS]),
    ("gpt-4o", "phi3", False, [GPT4O, LETTERS]),
    ("llama4", "llama4", False, [GPT4O, LETTERS]),
    ("tekken", "mistral", True, [split(cased("") + r"|\p{N}|" + SLASH), LETTERS]),
    ("superbpe", "olmo2", False, [split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))"), LETTERS]),
    ("starcoder", "starcoder2", False, [digits(True), GPT2]),
    ("smollm", "llama", False, [digits(True), GPT2]),
    ("command-r", "cohere", False, [digits(True), GPT2]),
    ("gpt-2", "gpt2", False, [GPT2]),
    ("olmo", "gpt_neox", False, [GPT2]),
    ("falcon", "falcon", False, [{"type": "Punctuation", "behavior": "Contiguous"}, GPT2, digits(False), split("[0-9][0-9][0-9]")]),
    ("bloom", "bloom", False, [split(BLOOM), LETTERS]),
    ("viking", "llama", False, [split(BLOOM), digits(True), LETTERS]),
]


def train(texts):
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(texts * 2, trainers.BpeTrainer(vocab_size=1000, min_frequency=2, initial_alphabet=alphabet, max_token_length=10, show_progress=False))
    return json.loads(bpe.to_str())


def main(cases, out):
    # "<" would make names of control tokens, which stock takes by their text
    texts = [case["text"] for case in json.load(open(cases))["cases"]]
    texts = [text for text in texts if 1 < len(text) < 120 and "<" not in text and "\0" not in text]
    base = train(texts)
    results, rows = [], []
    for pre, model_type, ignore_merges, steps in SPLITTERS:
        base["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
        base["model"]["ignore_merges"] = ignore_merges
        ids = [encoding.ids for encoding in Tokenizer.from_str(json.dumps(base)).encode_batch(texts)]
        if ids not in results:
            results.append(ids)
        rows.append({"pre": pre, "model_type": model_type, "ignore_merges": ignore_merges, "pretokenizers": steps, "result": results.index(ids)})
    golden = {
        "made_with": f"HF tokenizers {tokenizers.__version__}",
        "vocab": base["model"]["vocab"],
        "merges": base["model"]["merges"],
        "texts": texts,
        "results": results,
        "splitters": rows,
    }
    lines = ",\n".join(f"{json.dumps(k)}: " + ("[\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in v) + "\n]" if k in ("results", "splitters") else json.dumps(v, separators=(",", ":"))) for k, v in golden.items())
    open(out, "w").write("{\n" + lines + "\n}\n")


main(*sys.argv[1:])
