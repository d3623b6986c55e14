"""Names, order, shapes and edits of a plan, against the gguf package's tables and numpy.

usage: test_plan.py BUILD_DIR
"""
import json
import pathlib
import re
import subprocess
import tempfile

import gguf
import numpy as np
from safetensors import safe_open

import tap
from program import BUILD

DUMP = BUILD / "tests/model/dump_plan"
MODELS = pathlib.Path("tests/golden/models")
ARCH = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}


def dump(*args):
    done = subprocess.run([DUMP, *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [line.split() for line in done.stdout.splitlines()]


def stock_name(arch, layers, source):
    stem, dot, end = source.rpartition(".")
    name = gguf.get_tensor_name_map(ARCH[arch], layers).get_name(stem)
    return name and name + dot + end


def table_agrees():
    rows = dump()
    for arch in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == arch]
        wrong = [(source, name, stock_name(arch, 8, source.replace("%d", "7"))) for _, source, name, _ in mine
                 if stock_name(arch, 8, source.replace("%d", "7")) != name.replace("%d", "7")]
        tap.ok(not wrong, f"{arch}: {len(mine)} names are the gguf package's", str(wrong) if wrong else "")
        needed = {gguf.TENSOR_NAMES[t] for t in gguf.MODEL_TENSORS[ARCH[arch]]}
        needed -= {n for n in needed if "rope_freqs" in n or "rot_embd" in n or "_exps" in n or "gate_inp" in n}
        got = {re.sub(r"\.(weight|bias)$", "", name).replace("%d", "{bid}") for _, _, name, _ in mine}
        tap.ok(got == needed, f"{arch}: no tensor of the architecture is left out", str(got ^ needed) if got != needed else "")


def load(folder):
    tensors = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, "np") as f:
            for name in f.keys():
                tensors[name] = bfloat16(path, name) if folder.name == "llama_bf16" else f.get_tensor(name).astype(np.float32)
    return tensors


def bfloat16(path, name):
    """numpy has no such type: the upper half of a float32."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    info = json.loads(raw[8 : 8 + length])[name]
    begin, end = info["data_offsets"]
    half = np.frombuffer(raw[8 + length + begin : 8 + length + end], np.uint16)
    return (half.astype(np.uint32) << 16).view(np.float32).reshape(info["shape"])


def permute(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rope_factors(config):
    """Llama 3.1's rule, in float32 as its reference code has it."""
    rope = config["rope_parameters"]
    dim, context = config["head_dim"], rope["original_max_position_embeddings"]
    freqs = 1.0 / (np.float32(rope["rope_theta"]) ** (np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)))
    low, high = context / rope["low_freq_factor"], context / rope["high_freq_factor"]
    factors = []
    for freq in freqs:
        wave = 2 * np.pi / freq
        smooth = (context / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
        factors.append(1 if wave < high else rope["factor"] if wave > low else 1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


def expected(folder, config):
    arch = "llama" if config["model_type"] == "mistral" else config["model_type"]
    want = {}
    for source, w in load(folder).items():
        if source == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        if arch == "llama" and ".q_proj." in source:
            w = permute(w, config["num_attention_heads"])
        if arch == "llama" and ".k_proj." in source:
            w = permute(w, config["num_key_value_heads"])
        want[stock_name(arch, config["num_hidden_layers"], source)] = w
    if config["rope_parameters"]["rope_type"] == "llama3":
        want["rope_freqs.weight"] = rope_factors(config)
    return want


def model_agrees(folder, tmp):
    values = pathlib.Path(tmp) / "values"
    config = json.loads((folder / "config.json").read_text())
    want, got = expected(folder, config), dump(folder, values)
    names = [line[0] for line in got]
    layer = lambda name: int(m[1]) if (m := re.match(r"blk\.(\d+)\.", name)) else -1
    tap.ok(names == sorted(want, key=lambda n: (layer(n), n)), f"{folder.name}: {len(want)} tensors in stock's order")
    data, bad = np.fromfile(values, np.float32), []
    for name, _, *shape in got:
        shape = tuple(map(int, shape))
        mine, data = data[: np.prod(shape)].reshape(shape), data[np.prod(shape) :]
        same = np.allclose(mine, want[name], rtol=1e-6, atol=0) if name == "rope_freqs.weight" else np.array_equal(mine, want[name])
        if shape != want[name].shape or not same:
            bad.append(name)
    tap.ok(not bad and len(data) == 0, f"{folder.name}: shapes and values after the edits", ", ".join(bad))


with tempfile.TemporaryDirectory() as tmp:
    tap.run("names", table_agrees)
    for folder in sorted(MODELS.iterdir()):
        tap.run(folder.name, model_agrees, folder, tmp)
tap.done()
