"""quern's tokens and Hugging Face's for random Unicode: any characters, awkward neighbours.

    python3 tests/oracle/tokens_random.py BUILD_DIR COUNT [SEED]

with QUERN_SHARED a folder with tokenizers/llama3.tar.xz and qwen3.tar.xz.
"""
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import unicodedata

from tokenizers import Tokenizer

import quern_tokens

RANGES = [(0x20, 0x7F), (0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xFFF),
          (0x1100, 0x11FF), (0x1E00, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFE00, 0xFFEF),
          (0x10300, 0x1044F), (0x1D400, 0x1D7FF), (0x1F300, 0x1F5FF), (0x20000, 0x2A6DF), (0, 0x1FFFF), (0, 0x10FFFF)]
PIECES = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "'s", "'LL", "'\u017f", "\u2019s", "1", "12345", "\u0663",
          "\u00bd", "the", " The", "ing", "don't", "\u2581", "\u0130", "\u00df", "\u0000", "\u180e", "\u0085", "\u2028", "e\u0301", "\U0001f468\u200d\U0001f469",
          "...", "://", "</", "<s>", "<|x|>", "#", "_", "\u0e33", "\u0300\u0316", "\u1161", "\u11a8"]


def settled(c):
    """Is the character the same in every edition of Unicode?  Classes and orders of younger ones depend on
    the editions that PCRE2, utf8proc and Hugging Face's libraries were made with, which differ."""
    return unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs") or 0x1F300 <= c < 0x1F600 or 0x40000 <= c < 0xE0000


def random_text(r):
    text = []
    for _ in range(r.choice([1, 2, 4, 8, 16, 32])):
        if r.random() < 0.5:
            text.append(r.choice(PIECES))
        else:
            low, high = r.choice(RANGES)
            text += [chr(c) for c in (r.randint(low, high) for _ in range(r.randint(1, 4))) if settled(c)]
    return "".join(text)



def compare(build, model, tokenizer, count, seed=1):
    """[(text, Hugging Face's ids, quern's)] where they differ."""
    r = random.Random(seed)
    texts = [random_text(r) for _ in range(count)]
    hf = Tokenizer.from_file(str(tokenizer))
    wanted = [encoding.ids for encoding in hf.encode_batch(texts, add_special_tokens=False)]
    seen = quern_tokens.plain(build, model, texts)
    return [(text, a, b) for text, a, b in zip(texts, wanted, seen) if a != b], count


def main(build, count, seed=1):
    archive = pathlib.Path(os.environ["QUERN_SHARED"]) / "tokenizers"
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        for name in ["llama3", "qwen3"]:
            with tarfile.open(archive / f"{name}.tar.xz") as tar:
                tar.extractall(tmp, filter="data")
            out = f"{tmp}/{name}.gguf"
            subprocess.run([f"{build}/tests/formats/tokenizer_file", f"{tmp}/{name}", out], check=True, stdout=subprocess.DEVNULL)
            wrong, n = compare(build, out, f"{tmp}/{name}/tokenizer.json", int(count), int(seed))
            print(f"{name}: {len(wrong)} of {n} texts differ")
            for text, a, b in wrong[:10]:
                print(f"  {text!a}\n    {a}\n    {b}")
            failed |= bool(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
