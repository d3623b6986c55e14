"""Speed of `quern bench` beside stock llama.cpp on the same file with the same threads, in one run.

usage: infer_bench.py BUILD_DIR [MODEL.gguf ...] [--threads 2] [--runs 5]

Without a model it makes a random Llama of 300 M weights and takes it as Q4_K_M and F16.  Prompt: 512 tokens in one
pass from an empty cache; generation: 64 single tokens after 16.  Both take turns, for the machine's own speed comes
and goes: medians of tokens a second and of the ratios of pairs.  Stock is the PyPI package llama-cpp-python, built from
source for the machine.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import llama_cpp

PROMPT, BEFORE, AFTER = 512, 16, 64


@llama_cpp.llama_log_callback
def _silent(*_):
    pass


def decode(context, tokens, first):
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i] = token
        batch.pos[i] = first + i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = i + 1 == len(tokens)
    status = llama_cpp.llama_decode(context, batch)
    llama_cpp.llama_batch_free(batch)
    if status != 0:
        raise SystemExit(f"llama_decode returns {status}")


class Stock:
    def __init__(self, path, threads):
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = PROMPT + 64
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.prompt()

    def prompt(self):
        llama_cpp.llama_memory_clear(self.memory, True)
        start = time.monotonic()
        decode(self.context, [10 + i % 1000 for i in range(PROMPT)], 0)
        return PROMPT / (time.monotonic() - start)

    def generation(self):
        llama_cpp.llama_memory_clear(self.memory, True)
        decode(self.context, list(range(10, 10 + BEFORE)), 0)
        start = time.monotonic()
        for i in range(AFTER):
            decode(self.context, [100 + i], BEFORE + i)
        return AFTER / (time.monotonic() - start)

    def measure(self):
        """Medians of a few."""
        return tuple(statistics.median(f() for _ in range(3)) for f in (self.prompt, self.generation))

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def quern(program, path, threads):
    report = json.loads(subprocess.run([program, "bench", "--json", "-q", "-t", str(threads), path], check=True, capture_output=True).stdout)
    rows = {(r["work"], r["tokens"], r["sequences"], r["context"]): r for r in report["passes"]}
    prompt = rows["prompt", PROMPT, 1, 0]
    generation = next(r for k, r in rows.items() if k[0] == "generation" and k[2] == 1 and k[3] == BEFORE)
    return prompt["tokens_per_second"], generation["tokens_per_second"], generation["read_percent"], generation["read_bytes_per_second"]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="pairs")
    args = parser.parse_args()
    program = pathlib.Path(args.build) / "quern"
    llama_cpp.llama_log_set(_silent, None)
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as tmp:
        models = [pathlib.Path(m) for m in args.models]
        if not models:
            folder = pathlib.Path(tmp) / "m300"
            subprocess.run([pathlib.Path(args.build) / "tests/bench/make_model", folder, "examples/demo", "20", "1024", "16", "8", "2816", "32000"], check=True)
            for name in ("Q4_K_M", "F16"):
                models.append(pathlib.Path(tmp) / f"m300-{name}.gguf")
                subprocess.run([program, "quantize", folder, "-o", models[-1], "--type", name, "-q"], check=True)
        print("| model | prompt: quern | stock | ratio | generation: quern | stock | ratio | of reading |\n|---|---|---|---|---|---|---|---|")
        for path in models:
            theirs = Stock(path, args.threads)
            pairs = [(quern(program, path, args.threads), theirs.measure()) for _ in range(args.runs)]
            theirs.close()
            ours = [statistics.median(q[i] for q, _ in pairs) for i in range(4)]
            cells = [path.name]
            for i, digits in enumerate((0, 1)):
                cells += [f"{ours[i]:.{digits}f}", f"{statistics.median(s[i] for _, s in pairs):.{digits}f}",
                          f"{statistics.median(q[i] / s[i] for q, s in pairs):.2f}"]
            print("| " + " | ".join(cells) + f" | {ours[2]:.0f} % of {ours[3] / 1e9:.1f} GB/s |", flush=True)


main()
