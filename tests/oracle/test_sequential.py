"""quern quantize --sequential beside the same made by hand: for every stage a file of what is quantized before it and the
source's tensors, whose activations `quern calibrate --through` gathers and numpy sums up again in float64, and a plain
quantization on them.

usage: test_sequential.py BUILD_DIR
"""
import pathlib
import struct
import tempfile

import gguf
import h5py
import numpy as np

import activations
import program
import stock
import tap
from program import quern

GOLDEN = pathlib.Path("tests/golden/models")
TEXT = pathlib.Path("LICENSE")
CONTEXT = 512
STAGES = (("attn_in", ("attn_q", "attn_k", "attn_v")), ("attn_out", ("attn_output",)), ("ffn_in", ("ffn_gate", "ffn_up")),
          ("ffn_mid", ("ffn_down",)))

def compose(path, source, made, names):
    """The source's file with the tensors of these names from the other: header and pairs are copied."""
    a, b = gguf.GGUFReader(source), {t.name: t for t in gguf.GGUFReader(made).tensors}
    tensors = [b[t.name] if t.name in names else t for t in a.tensors]
    raw = pathlib.Path(source).read_bytes()
    head, data = bytearray(raw[: min(t.field.offset for t in a.tensors)]), bytearray()
    for t in tensors:
        name = t.name.encode()
        head += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(t.shape))
        head += struct.pack(f"<{len(t.shape)}Q", *t.shape) + struct.pack("<IQ", t.tensor_type, len(data))
        data += t.data.tobytes()
        data += bytes(-len(data) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def hessian(h5, group):
    with h5py.File(h5) as f:
        cols = int(f[group].attrs["cols"])
        h = np.zeros((cols, cols))
        h[np.triu_indices(cols)] = f[group]["hessian"][0]
    return h + np.triu(h, 1).T


def windows(path):
    with stock.Model(path, vocab_only=True) as model:
        ids = np.array(model.tokenize(TEXT.read_bytes().rstrip(b"\n")))
        ids = ids[: len(ids) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)
        if stock.lib.llama_vocab_get_add_bos(model.vocab):
            ids[:, 0] = stock.lib.llama_vocab_bos(model.vocab)
        return ids


def sums_up(path, group):
    model = activations.Llama(path)
    inputs = [model.inputs(ids)[group] for ids in windows(path)]
    return sum(x.T @ x for x in inputs) / sum(len(x) for x in inputs)


def model_in_stages(name, numpy, tmp):
    source, made = tmp / f"{name}.gguf", tmp / f"{name}-q4.gguf"
    quern("convert", GOLDEN / name, "-o", source, "--type", "F32", "-q")
    options = ["--type", "Q4_0", "--quality", "fast", "--method", "gptq", "-q"]
    quern("quantize", source, "-o", made, "--calib", TEXT, "--sequential", *options)
    have = {t.name: t for t in gguf.GGUFReader(made).tensors}
    layers = 1 + max(int(n.split(".")[1]) for n in have if n.startswith("blk."))
    last = "output.weight" if "output.weight" in have else "token_embd.weight"
    stages = [(f"blk.{i}.{g}", [f"blk.{i}.{t}.weight" for t in tensors]) for i in range(layers) for g, tensors in STAGES]
    stages.append(("output_in", [last]))
    linears = {t for _, tensors in stages for t in tensors}
    done, same, worst, moved = set(have) - linears, [], 0.0, 0.0
    for k, (group, tensors) in enumerate(stages):
        prefix, h5, plain = compose(tmp / "prefix.gguf", source, made, done), tmp / "c.h5", tmp / "plain.gguf"
        quern("calibrate", source, "-f", TEXT, "-o", h5, "--through", prefix, "-q", "--force")
        quern("quantize", source, "-o", plain, "--calib", h5, *options, "--force")
        other = {t.name: t for t in gguf.GGUFReader(plain).tensors}
        same += [np.array_equal(other[t].data, have[t].data) for t in tensors]
        if numpy:
            want = sums_up(prefix, group)
            worst = max(worst, float(np.linalg.norm(hessian(h5, group) - want) / np.linalg.norm(want)))
            first = sums_up(source, group)
            moved = max(moved, float(np.linalg.norm(first - want) / np.linalg.norm(want)))
        done |= set(tensors)
    tap.ok(all(same), f"{name}: every linear is the one made by hand", f"{sum(same)} of {len(same)} in {len(stages)} stages")
    if numpy:
        tap.ok(worst <= 3e-6, f"{name}: on a float64 X'X of the quantized prefix", f"{worst:.2g} <= 3e-6")
        tap.ok(moved > 1e-3, f"{name}: which is another than the source's", f"{moved:.2g}")
    quern("quantize", source, "-o", plain, "--calib", TEXT, *options, "--force")
    other = {t.name: t for t in gguf.GGUFReader(plain).tensors}
    tap.ok(any(not np.array_equal(other[t].data, have[t].data) for t in linears), f"{name}: and not the ordinary file")


def folded(tmp):
    """With awq the model that runs is the folded one: its first inputs are the source's, over the factors."""
    source, h5 = tmp / "qwen2.gguf", tmp / "a.h5"
    options = ["--type", "Q4_0", "--quality", "fast", "--method", "awq+gptq", "-q"]
    quern("calibrate", source, "-f", TEXT, "-o", h5, "-q")
    quern("quantize", source, "-o", tmp / "awq.gguf", "--calib", h5, *options)
    quern("quantize", source, "-o", tmp / "awq-s.gguf", "--calib", h5, "--probe", TEXT, "--sequential", *options)
    a, b = ({t.name: t.data for t in gguf.GGUFReader(tmp / f).tensors} for f in ("awq.gguf", "awq-s.gguf"))
    same = {n: float((a[n] == b[n]).mean()) for n in a}
    tap.ok(all(same[n] == 1 for n in a if a[n].ndim == 1), "awq+gptq: the same factors as without")
    tap.ok(all(same[f"blk.0.attn_{t}.weight"] > 0.99 for t in "qkv"), "the first linears are those without", str(same["blk.0.attn_q.weight"]))
    tap.ok(all(0.6 < same[f"blk.1.{t}.weight"] < 1 for t in ("attn_q", "ffn_up", "ffn_down")), "later ones are others, but not much",
           f"{same['blk.1.ffn_down.weight']:.2f} of the bytes are the same")


def memory(tmp):
    """What is stated before the work bounds what the process had in memory, beside the two mapped models."""
    source, out = tmp / "f32.gguf", tmp / "m.gguf"
    text = tmp / "text"
    text.write_bytes(pathlib.Path("examples/calibration.txt").read_bytes()[:5000])
    quern("convert", "examples/demo", "-o", source, "--type", "F32", "-q")
    for method in ("gptq", "awq+gptq"):
        stated, peak = program.memory("quantize", source, "-o", out, "--type", "Q3_K_M", "--method", method, "--quality", "fast",
                                      "--calib", text, "--sequential", "--no-table", "--force")
        peak -= source.stat().st_size + out.stat().st_size
        tap.ok(peak <= stated, f"memory is what was stated: {method}", f"{peak / 2**20:.1f} of {stated / 2**20:.1f} MiB")


with tempfile.TemporaryDirectory() as folder:
    for each, with_numpy in (("llama", True), ("qwen2", False)):
        tap.run(each, model_in_stages, each, with_numpy, pathlib.Path(folder))
    tap.run("folded", folded, pathlib.Path(folder))
    tap.run("memory", memory, pathlib.Path(folder))
tap.done()
