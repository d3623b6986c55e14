"""quern run beside stock llama.cpp: greedy answers, what its samplers keep; and a conversation at a terminal.

usage: test_run.py BUILD_DIR
"""
import fcntl
import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import termios
import time

import numpy as np

import stock
import tap
from program import BUILD, QUERN, quern

DEMO = pathlib.Path("examples/demo")
GOLDEN = pathlib.Path("tests/golden/models")
PROMPTS = ["It was a dark night and", "“My dear", "The captain of the ship\n\n", "He"]
TOKENS = 64
NEAR = 2e-3  # of the two largest logits: which comes first is the engine's rounding

stock.ffi.cdef("""
struct llama_token_data { llama_token id; float logit, p; };
struct llama_token_data_array { struct llama_token_data *data; size_t size; int64_t selected; bool sorted; };
void *llama_sampler_init_penalties(int32_t, int32_t, float, float, float); // vocabulary, last
void *llama_sampler_init_top_k(int32_t);
void *llama_sampler_init_top_p(float, size_t);
void *llama_sampler_init_min_p(float, size_t);
void *llama_sampler_init_temp(float);
void llama_sampler_accept(void *, llama_token);
void llama_sampler_apply(void *, struct llama_token_data_array *);
void llama_sampler_free(void *);
""")


def convert(folder, tmp, weights):
    out = pathlib.Path(tmp) / f"{folder.name}.{weights}.gguf"
    quern("convert", folder, "-o", out, "--type", weights, "-q")
    return out


def run(*args):
    return json.loads(quern("run", *args, "-q", "--json"))


def greedy(name, file, prompt, *options):
    """Each token is stock's choice after those before it, but where stock's two best are almost the same."""
    got = run(file, "--raw", "-p", prompt, "-n", TOKENS, "--temp", 0, *options)["tokens"]
    with stock.Model(file, context=256) as model:
        ids = model.tokenize(prompt)
        logits = model.logits(ids + got)[len(ids) - 1:]
        pieces = b"".join(model.piece(t) for t in got)
    near = 0
    for at, token in enumerate(got):
        best = int(logits[at].argmax())
        if token != best and logits[at][best] - logits[at][token] > NEAR:
            return tap.ok(False, name, f"token {at} is {token}, stock's {best}: {logits[at][[token, best]]}")
        near += token != best
    tap.ok(len(got) == TOKENS, name, f"{len(got)} tokens, {near} of them near ties: {pieces[:40]!r}")


def stock_choice(case):
    """Ids and probabilities after stock's penalties, top-k, top-p, min-p and temperature."""
    vocab = len(case["logits"])
    data = stock.ffi.new("struct llama_token_data[]", vocab)
    for i, x in enumerate(case["logits"]):
        data[i].id, data[i].logit = i, x
    array = stock.ffi.new("struct llama_token_data_array *", {"data": data, "size": vocab, "selected": -1})
    lib = stock.lib
    for sampler in (lib.llama_sampler_init_penalties(vocab, case["last"], case["penalty"], 0.0, 0.0),
                    lib.llama_sampler_init_top_k(case["top_k"]), lib.llama_sampler_init_top_p(case["top_p"], 1),
                    lib.llama_sampler_init_min_p(case["min_p"], 1), lib.llama_sampler_init_temp(case["temp"])):
        for token in case["seen"]:
            lib.llama_sampler_accept(sampler, token)
        lib.llama_sampler_apply(sampler, array)
        lib.llama_sampler_free(sampler)
    kept = [(array.data[i].id, array.data[i].logit) for i in range(array.size)]
    p = np.exp(np.array([x for _, x in kept], np.float64) - max(x for _, x in kept))
    return dict(zip((i for i, _ in kept), p / p.sum()))


def samplers():
    random = np.random.default_rng(1)
    cases = []
    for n in range(300):
        logits = (random.normal(size=500) * random.choice([1, 3, 8])).astype(np.float32)
        cases.append({
            "logits": [float(x) for x in logits], "seen": [int(t) for t in random.integers(0, 500, 90)],
            "temp": float(random.choice([0.3, 0.8, 1.0, 1.7])), "top_k": int(random.choice([0, 1, 5, 40, 400])),
            "top_p": float(random.choice([0.1, 0.5, 0.95, 1.0])), "min_p": float(random.choice([0.0, 0.01, 0.05, 0.5])),
            "penalty": float(random.choice([1.0, 1.1, 1.5])), "last": int(random.choice([0, 16, 64]))})
    lines = "\n".join(map(json.dumps, cases))
    done = subprocess.run([BUILD / "tests/model/choose_lines"], input=lines, capture_output=True, text=True, check=True)
    worst, other = 0.0, 0
    for case, line in zip(cases, done.stdout.splitlines(), strict=True):
        got, want = dict(json.loads(line)), stock_choice(case)
        if set(got) == set(want):
            worst = max(worst, *(abs(got[i] / want[i] - 1) for i in want))
        else:
            other += 1
    tap.ok(other == 0 and worst < 1e-4, "what is kept, and its probabilities, are stock's",
           f"{len(cases)} cases, {other} cut elsewhere, largest difference {worst:.1e}")


def caches(tmp):
    file = convert(GOLDEN / "qwen3", tmp, "F32")
    answers = [run(file, "--raw", "-p", "the quick", "-n", 24, "--temp", 0, "--cache-type", t)["tokens"]
               for t in ("F32", "F16")]
    tap.ok(len(answers[0]) > 0 and answers[0] == answers[1], "caches in F32 and F16 give the same greedy answer")


class Terminal:
    """quern run at a terminal of its own."""

    def __init__(self, *args):
        self.master, slave = os.openpty()
        self.seen = b""
        self.process = subprocess.Popen(
            [QUERN, "run", *map(str, args)], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def type(self, keys):
        self.seen = b""
        os.write(self.master, keys)

    def wait_for(self, done, seconds=20):
        """Reads until done(what was seen since the last keys)."""
        end = time.monotonic() + seconds
        while not done(self.seen):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise RuntimeError(f"the terminal shows {self.seen[-300:]!r}")
            try:
                self.seen += os.read(self.master, 4096)
            except OSError:  # the other side has closed
                break
        return self.seen

    def wait_for_prompt(self):
        return self.wait_for(lambda seen: seen.endswith(b"> "))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        os.close(self.master)
        return code


def conversation(file):
    t = Terminal(file, "-n", 1500, "--temp", 0.8)
    try:
        tap.ok(b"Ctrl-C" in t.wait_for_prompt(), "a terminal is told how to stop an answer and how to end")
        t.type(b"It was a dark night and\n")
        t.wait_for(lambda seen: len(seen) > 150)
        t.type(b"\x03")
        shown = t.wait_for_prompt()
        tap.ok(t.process.poll() is None, "Ctrl-C stops the answer, not the program", f"{len(shown)} bytes after it")
        t.type(b"half a line\x03")
        tap.ok(b"Ctrl-D" in t.wait_for_prompt(), "Ctrl-C at the prompt begins a new line")
        t.type(b"said the old man\n")
        t.wait_for(lambda seen: len(seen) > 100)
        t.type(b"\x03")
        t.wait_for_prompt()
        t.type(b"/reset\n")
        t.wait_for_prompt()
        t.type(b"/help\n")
        tap.ok(b"/reset begins anew" in t.wait_for_prompt(), "a word behind a slash that is no command shows what there is")
        t.type(b"\x04")
        t.wait_for(lambda seen: b"memory" in seen)
        t.process.wait(10)
        tap.ok(t.close() == 0 and b"\nprompt: " in t.seen, "Ctrl-D ends, and speed and memory are said on lines of their own")
    finally:
        if t.process.poll() is None:
            t.close()


def full_context(file):
    t = Terminal(file, "-c", 24, "-n", 100)
    try:
        t.wait_for_prompt()
        t.type(b"It was a dark night and\n")
        tap.ok(b"/reset begins anew" in t.wait_for_prompt(), "an answer that fills the context says so")
        t.type(b"more\n")
        tap.ok(b"room for 0" in t.wait_for_prompt(), "and no further turn is taken")
        t.type(b"/reset\n")
        t.wait_for_prompt()
        t.type(b"It was\n")
        tap.ok(b"room for" not in t.wait_for_prompt(), "but after /reset")
        t.process.send_signal(signal.SIGTERM)
        tap.ok(t.process.wait(10) == 130, "SIGTERM ends the program")
    finally:
        t.close()


with tempfile.TemporaryDirectory() as tmp:
    for weights in ("F32", "F16"):
        file = convert(DEMO, tmp, weights)
        for prompt in PROMPTS:
            name = f"demo {weights}: greedy after {prompt!r}"
            tap.run(name, greedy, name, file, prompt)
    tap.run("exact", greedy, "demo F16: greedy with --exact", file, PROMPTS[0], "--exact")
    tap.run("samplers", samplers)
    tap.run("caches", caches, tmp)
    tap.run("a conversation", conversation, file)
    tap.run("a full context", full_context, file)
tap.done()
