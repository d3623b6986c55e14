"""Writes tests/golden/recipes_2026/*.json: which type stock llama.cpp (the PyPI package
llama-cpp-py-sync) gives every tensor, for small models of many shapes and options.

    pip install llama-cpp-py-sync==0.11739        (it wants glibc 2.38 or newer)
    python3 tests/oracle/make_recipes.py tests/golden/recipes_2026
"""
import json
import pathlib
import sys
import tempfile

import gguf
import numpy as np

from llama_cpp_py_sync import _cffi_bindings as bindings

ffi, lib = bindings.get_ffi(), bindings.get_lib()

FILE_TYPES = {
    "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11,
    "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18,
    "Q2_K_S": 21, "IQ4_NL": 25, "IQ4_XS": 30, "TQ1_0": 36, "TQ2_0": 37, "MXFP4": 38,
}
FALCON = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K"]
LARGE = ["Q3_K_S", "Q3_K_M", "Q4_K_M"]

llama = dict(arch="llama", n_layer=16, n_head=4, n_kv=2)
MODELS = {
    "llama": llama,
    "shared_heads": llama | dict(n_kv=1),
    "tied": llama | dict(tied=True, n_layer=8),
    "fused": dict(arch="phi3", n_layer=16, n_head=4, n_kv=4, fused=True),
    "experts_8": llama | dict(experts=8, n_kv=1, n_layer=16),
    "experts_4": llama | dict(experts=4, n_layer=8),
    "odd_columns": llama | dict(d=160, ff=416, n_layer=4),
    "falcon": dict(arch="falcon", n_layer=32, n_head=4, n_kv=1, fused=True, gated=False,
                   recipes=FALCON),
    "llama_80": llama | dict(n_layer=80, recipes=LARGE),
    "qwen2_80": llama | dict(arch="qwen2", n_layer=80, recipes=LARGE),
    "olmo_80": llama | dict(arch="olmo", n_layer=80, recipes=LARGE[:1]),
    "qwen3_80": llama | dict(arch="qwen3", n_layer=80, recipes=LARGE[:1]),
    "importance": llama | dict(options=dict(importance=True)),
    "pure": llama | dict(n_layer=4, options=dict(pure=True)),
    "asked": llama | dict(n_layer=4, options=dict(output_type="Q5_K", embedding_type="Q8_0")),
    "asked_tied": llama | dict(n_layer=4, tied=True, options=dict(output_type="Q5_K"),
                               recipes=LARGE),
    "leave_output": llama | dict(n_layer=4, options=dict(leave_output=True)),
    "overrides": llama | dict(options=dict(overrides=[
        r"blk\.[0-3]\.attn_v=Q8_0", "ffn_down=Q5_0", "blk\\.7=Q4_K", "attn_v=Q4_K"]),
        recipes=["Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M"]),
    "overrides_down": llama | dict(options=dict(overrides=[r"^blk\.[1-5]\.ffn_down\.weight$=Q8_0"]),
                                   recipes=["Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL"]),
}


def names(m):
    """Names with (rows, columns), in the order in which stock writes them."""
    d, ff, experts = m.get("d", 256), m.get("ff", 512), m.get("experts", 0)
    kv = d * m["n_kv"] // m["n_head"]
    yield "output_norm.weight", (d,)
    if not m.get("tied"):
        yield "output.weight", (64, d)
    yield "token_embd.weight", (64, d)
    stack, tail = ((experts,), "_exps") if experts else ((), "")
    for i in range(m["n_layer"]):
        layer = {"attn_norm": (d,), "ffn_norm": (d,), "attn_output": (d, d)}
        if m.get("fused"):
            layer["attn_qkv"] = (d + 2 * kv, d)
        else:
            layer |= {"attn_q": (d, d), "attn_k": (kv, d), "attn_v": (kv, d)}
        if experts:
            layer["ffn_gate_inp"] = (experts, d)
        if m.get("gated", True):
            layer["ffn_gate" + tail] = stack + (ff, d)
        layer |= {"ffn_up" + tail: stack + (ff, d), "ffn_down" + tail: stack + (d, ff)}
        for name in sorted(layer):
            yield f"blk.{i}.{name}.weight", layer[name]


def write(path, m):
    w = gguf.GGUFWriter(path, m["arch"])
    d = m.get("d", 256)
    w.add_block_count(m["n_layer"])
    w.add_context_length(128)
    w.add_embedding_length(d)
    w.add_feed_forward_length(m.get("ff", 512))
    w.add_head_count(m["n_head"])
    w.add_head_count_kv(m["n_kv"])
    w.add_layer_norm_rms_eps(1e-5)
    w.add_layer_norm_eps(1e-5)
    w.add_rope_dimension_count(d // m["n_head"])
    w.add_vocab_size(64)
    if m.get("experts"):
        w.add_expert_count(m["experts"])
        w.add_expert_used_count(2)
    rng = np.random.default_rng(1)
    for name, shape in names(m):
        kind = np.float32 if len(shape) == 1 else np.float16
        w.add_tensor(name, rng.standard_normal(shape, dtype=np.float32).astype(kind))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def type_number(name):
    return gguf.GGMLQuantizationType[name].value


def quantize(source, out, m, recipe):
    o, keep = m.get("options", {}), []
    p = lib.llama_model_quantize_default_params()
    p.nthread = 1
    p.ftype = FILE_TYPES[recipe]
    p.pure = o.get("pure", False)
    p.quantize_output_tensor = not o.get("leave_output", False)
    if "output_type" in o:
        p.output_tensor_type = type_number(o["output_type"])
    if "embedding_type" in o:
        p.token_embedding_type = type_number(o["embedding_type"])
    if o.get("importance") or recipe == "Q2_K_S":
        weights = [(n, s) for n, s in names(m) if len(s) > 1]
        p.imatrix = table = ffi.new("struct llama_model_imatrix_data[]", len(weights) + 1)
        for row, (name, shape) in zip(table, weights):
            count = shape[-1] * (shape[0] if len(shape) == 3 else 1)
            keep += [ffi.new("char[]", name.encode()), ffi.new("float[]", [1.0] * count)]
            row.name, row.data, row.size = keep[-2], keep[-1], count
        keep.append(table)
    if "overrides" in o:
        p.tt_overrides = table = ffi.new("struct llama_model_tensor_override[]",
                                         len(o["overrides"]) + 1)
        for row, text in zip(table, o["overrides"]):
            pattern, _, kind = text.rpartition("=")
            keep.append(ffi.new("char[]", pattern.encode()))
            row.pattern, row.type = keep[-1], type_number(kind)
        keep.append(table)
    if lib.llama_model_quantize(str(source).encode(), str(out).encode(),
                                ffi.new("llama_model_quantize_params *", p)) != 0:
        raise RuntimeError(f"stock does not quantize {m} to {recipe}")


def types(path):
    reader = gguf.GGUFReader(path)
    found = {t.name: t.tensor_type.name for t in reader.tensors if len(t.shape) > 1}
    found["general.file_type"] = int(reader.get_field("general.file_type").contents())
    return found


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temp:
        source, out = pathlib.Path(temp) / "f16.gguf", pathlib.Path(temp) / "out.gguf"
        for name, m in MODELS.items():
            write(source, m)
            found = {}
            for recipe in m.get("recipes", FILE_TYPES):
                if recipe == "MXFP4" and "experts" not in m and name != "pure":
                    continue  # stock leaves a model without experts in Q8_0; ours does not
                quantize(source, out, m, recipe)
                found[recipe] = types(out)
            model = {k: v for k, v in m.items() if k not in ("recipes", "options")}
            golden = {"model": model, "options": m.get("options", {}),
                      "quantizer": "llama-cpp-py-sync 0.11739", "recipes": found}
            (folder / f"{name}.json").write_text(json.dumps(golden, indent=0) + "\n")
            print(name)


main(sys.argv[1])
