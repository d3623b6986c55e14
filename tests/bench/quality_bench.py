"""KL divergence to f16 of `quern quantize` beside stock llama.cpp with an importance matrix, at the same bytes.

usage: quality_bench.py BUILD_DIR --shared DIR [--types Q2_K,...] [--sides stock,imatrix,same,like] [--texts novels,wiki]
                        [--work DIR] [--method awq+gptq] [--exact] [--threads 2] [--extra OPTIONS]

Both sides learn from the same text (text/calib_novels.txt in DIR): stock by its importance matrix, quern by
`quern calibrate`.  stock: llama-quantize; imatrix: the same with the matrix; same: quern, the types of the same mix;
like: quern, types of its own choice in no more bytes.  All files are run by stock llama.cpp: 30 windows of
eval_novels.txt behind its first 120,000 bytes and the first 100 kB of wiki.test.raw, 512 tokens each, the second half
scored as llama-perplexity does.  --exact adds `quern eval --exact`: f32 activations, where stock rounds them to eight
bits.  The table goes to stdout as Markdown, all figures to WORK/quality.json.  What has been made and measured stays
in WORK and is not done again; quern's own files are made anew (--keep: not those, either).
"""
import argparse
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys
import time

import numpy as np

CONTEXT = 512
SIDES = {"stock": "stock", "imatrix": "stock + imatrix", "same": "quern, same types", "like": "quern, same bytes"}


def log_softmax(x):
    x = x.astype(np.float32) - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True, dtype=np.float64)).astype(np.float32)


class Bench:
    def __init__(self, args):
        self.args, self.work = args, pathlib.Path(args.work)
        self.quern = pathlib.Path(args.build) / "quern"
        self.shared = pathlib.Path(args.shared)
        self.model = pathlib.Path(args.model or self.shared / "models/dev")
        self.work.mkdir(parents=True, exist_ok=True)
        self.known_path = self.work / "known.json"
        self.known = json.loads(self.known_path.read_text()) if self.known_path.exists() else {}

    def remember(self, key, make):
        if key not in self.known:
            self.known[key] = make()
            self.known_path.write_text(json.dumps(self.known, indent=1))
        return self.known[key]

    def run(self, *command):
        """Seconds of a command."""
        print("#", *command, file=sys.stderr, flush=True)
        start = time.monotonic()
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - start

    def script(self, name, *arguments):
        return self.run(sys.executable, pathlib.Path(__file__).parent / name, *arguments)

    def prepare(self):
        """The source as F16, both calibrations, and the texts that are measured on."""
        self.source, self.matrix, self.calib = (self.work / n for n in ("f16.gguf", "imatrix.gguf", "calib.h5"))
        learn = self.shared / "text/calib_novels.txt"
        if not self.source.exists():
            self.run(self.quern, "convert", self.model, "-o", self.source, "--type", "F16", "-q")
        if not self.matrix.exists() and "imatrix" in self.args.sides:
            self.known["seconds imatrix"] = self.script("stock_calibrate.py", self.source, learn, self.matrix, self.args.windows, self.args.threads)
        if not self.calib.exists() and {"same", "like"} & set(self.args.sides):
            self.known["seconds calibrate"] = self.run(self.quern, "calibrate", self.source, "-f", learn, "-o", self.calib, "--chunks", self.args.windows, "--gradients",
                                                      "--gradient-chunks", self.args.back, "-t", self.args.threads, "--force", "-q")
        parts = {"novels": ("eval_novels.txt", 120000, None, 30), "wiki": ("wiki.test.raw", 0, 100000, None)}
        self.texts = {}
        for name in self.args.texts:
            file, first, last, most = parts[name]
            path = self.work / f"{name}.txt"
            path.write_bytes((self.shared / "text" / file).read_bytes()[first:last])
            self.texts[name] = (path, most)

    def make(self, side, kind):
        """The quantized file; seconds that making it took."""
        out = self.work / f"{side}-{kind}.gguf"
        key = f"seconds {side} {kind}"
        theirs = side in ("stock", "imatrix")
        if out.exists() and (theirs or self.args.keep):
            return out, self.known.get(key)
        if theirs:
            extra = [self.matrix] if side == "imatrix" else []
            seconds = self.script("stock_quantize.py", self.source, out, kind, self.args.threads, *extra)
        else:
            options = ["--type", kind]
            if side == "like":
                learn = self.shared / "text/calib_novels.txt"
                options = ["--like", kind, "--probe", learn, "--sensitivity", self.work / "sensitivity.json"]
            seconds = self.run(self.quern, "quantize", self.source, "-o", out, "--method", self.args.method, "--calib", self.calib, *options,
                               "--quality", self.args.quality, "-t", self.args.threads, "--force", "-q", *shlex.split(self.args.extra))
        self.known[key] = seconds
        self.known_path.write_text(json.dumps(self.known, indent=1))
        return out, seconds

    def base(self, text):
        """log p of the source, cached: what the others diverge from."""
        path = self.work / f"base-{text}.npy"
        if not path.exists():
            np.save(path, np.concatenate([log_softmax(x) for x in self.logits(self.source, text)]))
        return np.load(path, mmap_mode="r")

    def logits(self, file, text):
        import stock_model

        path, most = self.texts[text]
        with stock_model.Model(file, CONTEXT, self.args.threads) as model:
            for window, _ in model.windows(path.read_bytes(), CONTEXT, most):
                yield model.logits(window, CONTEXT // 2)[:-1]

    def diverge(self, file, text):
        """Mean, its error, 99th percentile of KL(source || file), and how often both have the same top token."""
        base, kl, same, at = self.base(text), [], [], 0
        for x in self.logits(file, text):
            q, p = log_softmax(x), base[at : at + len(x)]
            at += len(x)
            kl.append((np.exp(p) * (p - q)).sum(axis=-1, dtype=np.float64))
            same.append(p.argmax(-1) == q.argmax(-1))
        kl, same = np.concatenate(kl), np.concatenate(same)
        return {"mean": kl.mean(), "error": kl.std() / len(kl) ** 0.5, "p99": np.quantile(kl, 0.99), "same_top": float(same.mean()),
                "tokens": len(kl)}

    def exact(self, file, text):
        path, most = self.texts[text]
        chunks = ["--chunks", most] if most else []
        command = [self.quern, "eval", file, "--against", self.source, "-f", path, "--exact", "--json", "-q", *chunks]
        got = json.loads(subprocess.run([str(c) for c in command], check=True, capture_output=True).stdout)
        return {"mean": got["kl_mean"]["value"], "error": got["kl_mean"]["error"], "p99": got["kl_99"]["value"],
                "same_top": got["same_top"]["value"], "tokens": got["scored_tokens"]}

    def measure(self, file):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        found = {}
        for text in self.texts:
            found[text] = self.remember(f"{digest} {text} stock", lambda: self.diverge(file, text))
            if self.args.exact:
                found[f"{text} exact"] = self.remember(f"{digest} {text} exact", lambda: self.exact(file, text))
        return found

    def rows(self):
        for kind in self.args.types:
            reference = None
            for side in self.args.sides:
                file, seconds = self.make(side, kind)
                row = {"type": kind, "side": side, "bytes": file.stat().st_size, "seconds": seconds, "kl": self.measure(file)}
                if side == "imatrix":
                    reference = row["kl"]
                elif reference:
                    row["ratio"] = {t: {k: row["kl"][t][k] / reference[t][k] for k in ("mean", "p99")} for t in reference}
                yield row


def heading(texts):
    cells = [f"{t}: KL mean / p99 / top % | ratio mean / p99" for t in texts]
    print("| type | side | bytes | s | " + " | ".join(cells) + " |")
    print("|---|---|---|---|" + "---|---|" * len(texts))


def line(row, texts):
    cells = [row["type"], SIDES[row["side"]], f"{row['bytes']:,}", f"{row['seconds']:.0f}" if row["seconds"] else ""]
    for text in texts:
        k, ratio = row["kl"][text], row.get("ratio", {}).get(text)
        cells.append(f"{k['mean']:.5f} / {k['p99']:.4f} / {100 * k['same_top']:.1f}")
        cells.append(f"{ratio['mean']:.3f} / {ratio['p99']:.2f}" if ratio else "")
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--shared", required=True, help="folder with models/dev and text/")
    parser.add_argument("--model", help="another model than dev")
    parser.add_argument("--types", default="Q2_K,Q3_K_M,Q4_K_M,Q5_K_M,Q6_K,Q4_0", type=lambda s: s.split(","))
    parser.add_argument("--sides", default="stock,imatrix,same,like", type=lambda s: s.split(","))
    parser.add_argument("--texts", default="novels,wiki", type=lambda s: s.split(","))
    parser.add_argument("--work", default="quality")
    parser.add_argument("--method", default="awq+gptq")
    parser.add_argument("--quality", default="best")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--windows", type=int, default=571, help="of the calibration text: all of it, 292 thousand tokens")
    parser.add_argument("--back", type=int, default=288, help="of them, that quern also goes back through")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--extra", default="", help="more options for quern quantize")
    args = parser.parse_args()
    bench = Bench(args)
    bench.prepare()
    texts = [t + e for t in args.texts for e in (["", " exact"] if args.exact else [""])]
    heading(texts)
    rows = []
    for row in bench.rows():
        line(row, texts)
        rows.append(row)
    (bench.work / "quality.json").write_text(json.dumps(rows, indent=1))


main()
