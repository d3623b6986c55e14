"""Chat templates: what quern writes is what the model's own Jinja template gives, and what stock writes.

usage: test_chat.py BUILD_DIR        (QUERN_SHARED: a folder with the tokenizers of real models)
"""
import datetime
import json
import os
import pathlib
import subprocess
import tarfile

import jinja2.sandbox

import stock
import tap
from chat_templates import NO_SYSTEM, NOT_STOCKS, SPACED, SYSTEM_LAST, TEMPLATES
from program import BUILD

BOS, EOS = "<s>", "</s>"
SYSTEM = "Be brief,\nand kind."
USERS = ["Why is the sky blue?", "And the \"sea\"?\n\nTell me {all}.", "Ünïcode 漢字"]
ANSWERS = ["It scatters light.", "It mirrors\nthe sky."]

stock.ffi.cdef("""
struct llama_chat_message { const char *role, *content; };
int32_t llama_chat_apply_template(const char *, const struct llama_chat_message *, size_t, bool, char *, int32_t);
""")


def jinja(template, messages, bos=BOS, eos=EOS):
    """As transformers renders it."""
    def fail(message):
        raise jinja2.exceptions.TemplateError(message)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals.update(raise_exception=fail, strftime_now=lambda f: datetime.date.today().strftime(f))
    text = env.from_string(template).render(messages=messages, bos_token=bos, eos_token=eos,
                                            add_generation_prompt=True)
    return text.removeprefix(bos)  # which the tokenizer puts there


def stocks(template, messages):
    keep = [(stock.ffi.new("char[]", m["role"].encode()), stock.ffi.new("char[]", m["content"].encode()))
            for m in messages]
    chat = stock.ffi.new("struct llama_chat_message[]", len(messages))
    for to, (role, content) in zip(chat, keep):
        to.role, to.content = role, content
    out = stock.ffi.new("char[]", 65536)
    n = stock.lib.llama_chat_apply_template(template.encode(), chat, len(messages), True, out, 65536)
    return stock.ffi.buffer(out, n)[:].decode() if n >= 0 else None


def quern(template, system, users, answers, bos=BOS, eos=EOS):
    line = {"template": template, "bos": bos, "eos": eos, "system": system, "users": users, "answers": answers}
    done = subprocess.run([BUILD / "tests/model/chat_lines"], input=json.dumps(line), capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout) or (None, "")


def talks(family):
    """(system or None, turns) that a template of the family can have."""
    for turns in (1, 2, 3):
        yield None, turns
        if family not in NO_SYSTEM and not (family in SYSTEM_LAST and turns > 1):
            yield SYSTEM, turns


def messages_of(system, turns):
    messages = [{"role": "system", "content": system}] if system else []
    for i in range(turns):
        messages.append({"role": "user", "content": USERS[i]})
        if i + 1 < turns:
            messages.append({"role": "assistant", "content": ANSWERS[i]})
    return messages


def compare(name, family, template, bos=BOS, eos=EOS):
    wrong, count = [], 0
    ends = "\n" if family == "zephyr" else ""  # the template's own last line, after the text's
    space = " " if family in SPACED else ""
    for system, turns in talks(family):
        messages = messages_of(system, turns)
        found, got = quern(template, system, USERS[:turns], [space + a for a in ANSWERS[: turns - 1]], bos, eos)
        wants = [("jinja", jinja(template, messages, bos, eos))]
        if family not in NOT_STOCKS:
            # Stock writes an answer where the model's is known: with its space.
            wants.append(("stock", stocks(template, messages).replace(stock_eos(family), eos)))
        count += 1
        if found != family:
            wrong.append(f"it is taken for {found}")
        wrong += [f"{who}: {want!r}, quern: {got!r}" for who, want in wants if want.rstrip(ends) != got.rstrip(ends)]
    tap.ok(not wrong, name, wrong[0] if wrong else f"{count} conversations, {NOT_STOCKS.get(family, 'and stock')}")


def stock_eos(family):
    """Stock spells the EOS token as the first model of the family does."""
    return "<｜end▁of▁sentence｜>" if family.startswith("deepseek") else EOS


def real(shared):
    for name, family in [("llama3", "llama3"), ("gemma3", "gemma"), ("deepseek_v3", "deepseek3"), ("qwen3", "chatml")]:
        with tarfile.open(pathlib.Path(shared) / f"tokenizers/{name}.tar.xz") as tar:
            member = next(m for m in tar.getmembers() if m.name.endswith("tokenizer_config.json"))
            config = json.load(tar.extractfile(member))
        spelled = [t if isinstance(t, str) else (t or {}).get("content", "")
                   for t in (config.get("bos_token"), config["eos_token"])]
        tap.run(f"{name}: its own template", compare, f"{name}: its own template", family, config["chat_template"],
                *spelled)


for family, template in TEMPLATES.items():
    eos = stock_eos(family)
    tap.run(family, compare, family, family, template, BOS, eos)
rows = int(subprocess.run([BUILD / "tests/model/chat_lines", "--count"], capture_output=True, check=True).stdout)
tap.ok(rows == len(TEMPLATES), "every row has a template here", f"{rows} and {len(TEMPLATES)}")
if "QUERN_SHARED" in os.environ:
    real(os.environ["QUERN_SHARED"])
else:
    tap.skip("templates of real models", "QUERN_SHARED names no folder with tokenizers")
tap.done()
