"""The PyPI package gguf and stock ggml's own reader agree with ours on GGUF and imatrix files.

usage: test_gguf_package.py BUILD_DIR
"""
import pathlib
import struct
import subprocess
import tempfile

import gguf
import numpy as np

import stock
import tap
from program import BUILD

TOOL = BUILD / "tests/oracle/gguf_tool"
T = gguf.GGUFValueType

SCALARS = [
    ("u8", 255, T.UINT8), ("i8", -128, T.INT8), ("u16", 65535, T.UINT16), ("i16", -2, T.INT16),
    ("u32", 2**32 - 1, T.UINT32), ("i32", -2**31, T.INT32), ("f32", 0.1, T.FLOAT32), ("yes", True, T.BOOL),
    ("no", False, T.BOOL), ("text", "Ġhello\0\n\u4f60", T.STRING), ("empty", "", T.STRING),
    ("u64", 2**64 - 1, T.UINT64), ("i64", -2**63, T.INT64), ("f64", 0.1, T.FLOAT64),
    ("infinity", float("-inf"), T.FLOAT32),
]
ARRAYS = [
    ("texts", ["a", "", "\u2581b c"], T.STRING), ("i32s", [-1, 2**31 - 1], T.INT32),
    ("f32s", [0.5, -0.0, 1e-45], T.FLOAT32), ("bools", [True, False, True], T.BOOL),
    ("u8s", [0, 255], T.UINT8), ("i8s", [-1], T.INT8), ("u16s", [65535], T.UINT16), ("i16s", [-3, 4], T.INT16),
    ("u32s", [2**32 - 1], T.UINT32), ("u64s", [2**64 - 1, 0], T.UINT64), ("i64s", [-2**63], T.INT64),
    ("f64s", [0.1, 2.0], T.FLOAT64),
]
PACK = {T.UINT8: "B", T.INT8: "b", T.UINT16: "H", T.INT16: "h", T.UINT32: "I", T.INT32: "i", T.FLOAT32: "f",
        T.UINT64: "Q", T.INT64: "q", T.FLOAT64: "d", T.BOOL: "?"}
UNKNOWN = {"Q8_1", "Q8_K", "NVFP4", "Q1_0"}  # types no weight has, and those newer than ours


def tool(*args):
    done = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"gguf_tool {args[0]}: exit {done.returncode}: {done.stderr.strip()}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def model_tensors(rng):
    """(name, array, type): every type of the package, 0 to 4 dimensions."""
    yield "scalar", np.array(1.5, np.float32), gguf.GGMLQuantizationType.F32
    yield "four", rng.standard_normal((2, 3, 2, 5)).astype(np.float32), gguf.GGMLQuantizationType.F32
    yield "n" * 63, np.arange(7, dtype=np.int8), gguf.GGMLQuantizationType.I8
    for kind in gguf.GGMLQuantizationType:
        if kind.name in UNKNOWN:
            continue
        elems, size = gguf.GGML_QUANT_SIZES[kind]
        plain = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I8": np.int8, "I16": np.int16,
                 "I32": np.int32, "I64": np.int64}.get(kind.name)
        if plain:
            yield f"blk.0.{kind.name}", rng.standard_normal((3, 5)).astype(plain), kind
        else:
            yield f"blk.0.{kind.name}", rng.integers(0, 256, (3, 2 * size), dtype=np.uint8), kind


def write_model(path, alignment=None, **split):
    w = gguf.GGUFWriter(path, "llama", **split)
    for key, value, kind in SCALARS:
        w.add_key_value("my." + key, value, kind)
    for key, values, kind in ARRAYS:
        w.add_key_value("my." + key, values, T.ARRAY, sub_type=kind)
    if alignment:
        w.add_custom_alignment(alignment)
    tensors = list(model_tensors(np.random.default_rng(1)))
    for name, array, kind in tensors:
        w.add_tensor(name, array, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return tensors


def expected_pairs(alignment):
    yield ["pair", "general.architecture", "8", "-1", b"llama".hex()]
    for key, value, kind in SCALARS:
        if kind == T.STRING:
            text = value.encode().hex()
        elif kind in (T.FLOAT32, T.FLOAT64):
            text = float(np.float32(value)) if kind == T.FLOAT32 else value
        else:
            text = str(int(value))
        yield ["pair", "my." + key, str(int(kind)), "-1", text]
    for key, values, kind in ARRAYS:
        if kind == T.STRING:
            text = " ".join(v.encode().hex() for v in values)
        else:
            text = b"".join(struct.pack("<" + PACK[kind], v) for v in values).hex()
        yield ["pair", "my." + key, "9", str(int(kind)), text]
    if alignment:
        yield ["pair", "general.alignment", "4", "-1", str(alignment)]


def floats_parsed(lines):
    for line in lines:
        if line[0] == "pair" and line[2] in ("6", "12"):
            line = line[:4] + [float.fromhex(line[4])]
        yield line


def expected_tensors(tensors):
    for name, array, kind in tensors:
        shape = array.shape if array.dtype != np.uint8 else gguf.quants.quant_shape_from_byte_shape(array.shape, kind)
        yield ["tensor", name, kind.name, " ".join(map(str, shape)), array.tobytes().hex()]


def reads_what_the_package_writes(folder, alignment):
    path = folder / f"theirs-{alignment}.gguf"
    tensors = write_model(path, alignment)
    got = list(floats_parsed(tool("dump", path)))
    want = list(expected_pairs(alignment)) + list(expected_tensors(tensors))
    different = [(g, w) for g, w in zip(got, want) if g != w]
    tap.ok(got == want, f"every type of key and tensor is read, alignment {alignment or 32}",
           f"{len(want)} lines" if got == want else str(different[:1])[:300])
    copy = folder / f"ours-{alignment}.gguf"
    tool("merge", path, copy)
    tap.ok(copy.read_bytes() == path.read_bytes(), f"our file has the package's bytes, alignment {alignment or 32}")


def package_view(path):
    r = gguf.GGUFReader(path)
    pairs = {k: (f.types, f.contents()) for k, f in r.fields.items() if not k.startswith("GGUF.")}
    tensors = [(t.name, t.tensor_type, list(map(int, t.shape)), int(t.data_offset), t.data.tobytes())
               for t in r.tensors]
    return pairs, tensors


def package_reads_what_we_split(folder):
    source = folder / "theirs-64.gguf"
    pairs, tensors = package_view(source)
    tool("split", source, folder / "split", 0, 10)
    files = sorted(folder.glob("split-*.gguf"))
    count = (len(tensors) + 9) // 10
    tap.ok([f.name for f in files] == [f"split-{i + 1:05d}-of-{count:05d}.gguf" for i in range(count)],
           "a split has the files that its names promise")
    seen = []
    for i, file in enumerate(files):
        p, t = package_view(file)
        keys = {"split.no": i, "split.count": count, "split.tensors.count": len(tensors)}
        tap.ok(all(p[k][1] == v for k, v in keys.items()) and
               {k: v for k, v in p.items() if k not in keys} == (pairs if i == 0 else {}), f"keys of part {i + 1}")
        seen += [x[:3] + x[4:] for x in t]
    tap.ok(seen == [x[:3] + x[4:] for x in tensors], "the parts hold all tensors, in order, unchanged")
    tool("merge", files[-1], folder / "merged.gguf")
    tap.ok((folder / "merged.gguf").read_bytes() == source.read_bytes(), "a merge is the source")


def reads_what_the_package_splits(folder):
    tensors = write_model(folder / "parts.gguf", split_max_tensors=7)
    parts = sorted(folder.glob("parts-*.gguf"))
    want = list(expected_pairs(None)) + list(expected_tensors(tensors))
    tap.ok(len(parts) == (len(tensors) + 6) // 7 and all(list(floats_parsed(tool("dump", p))) == want for p in parts),
           "the package's split sets are read from any of their files")


def stock_reads_what_we_write(folder):
    for path in sorted(folder.glob("*.gguf")):
        pairs, tensors = package_view(path)
        keys, got = stock.gguf_tensors(path)
        tap.ok(keys == len(pairs) and got == [(t[0], t[1], t[3]) for t in tensors], f"stock ggml reads {path.name}")


def imatrix_lines(path):
    head, *entries = tool("imatrix", path)
    return head, {e[1]: (int(e[2]), np.frombuffer(bytes.fromhex(e[3]), np.float32),
                         np.frombuffer(bytes.fromhex(e[4]), np.float32)) for e in entries}


def write_imatrix_gguf(path, sums, counts):
    w = gguf.GGUFWriter(path, "", use_temp_file=False)
    w.kv_data[0].clear()  # an imatrix has no architecture
    w.add_key_value("general.type", "imatrix", T.STRING)
    w.add_key_value("imatrix.datasets", ["one.txt", "two.txt"], T.ARRAY)
    w.add_key_value("imatrix.chunk_count", 100, T.UINT32)
    w.add_key_value("imatrix.chunk_size", 512, T.UINT32)
    for name in sums:
        w.add_tensor(name + ".in_sum2", sums[name])
        w.add_tensor(name + ".counts", counts[name])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def imatrix_agrees(folder):
    rng = np.random.default_rng(2)
    names = {"blk.1.ffn_down_exps.weight": 4, "blk.0.attn_q.weight": 1, "output.weight": 1}
    sums = {n: rng.random((m, 96), np.float32) * 1000 for n, m in names.items()}
    counts = {n: rng.integers(1, 5000, (m, 1)).astype(np.float32) for n, m in names.items()}
    counts["blk.1.ffn_down_exps.weight"][2] = 0
    want = {n: np.where(counts[n] > 0, sums[n] / np.maximum(counts[n], 1), np.float32(1)) for n in names}
    path, dat, back = folder / "i.imatrix", folder / "i.dat", folder / "back.imatrix"
    write_imatrix_gguf(path, sums, counts)

    head, got = imatrix_lines(path)
    tap.ok(head == ["chunks", "100", "512", b"one.txt".hex() + " " + b"two.txt".hex()] and set(got) == set(names) and
           all((got[n][1] == want[n].ravel()).all() and (got[n][2] == counts[n].ravel()).all() for n in names) and
           got["blk.1.ffn_down_exps.weight"][0] == 1, "an imatrix of the package's: means are sums / counts")

    tool("imatrix-gguf", path, back)
    pairs, tensors = package_view(back)
    theirs_pairs, theirs = package_view(path)
    near = all(np.allclose(np.frombuffer(a[4], np.float32), np.frombuffer(b[4], np.float32) * (
        1 if b[0].endswith(".counts") else np.repeat(counts[b[0][:-8]] > 0, 96)), rtol=3e-7)
        for a, b in zip(sorted(tensors), sorted(theirs)))
    tap.ok(pairs == theirs_pairs and near and [t[:3] for t in sorted(tensors)] == [t[:3] for t in sorted(theirs)],
           "the package reads the imatrix that we write")

    tool("imatrix-dat", path, dat)
    data, at, entries = dat.read_bytes(), 4, {}
    for _ in range(struct.unpack_from("<i", data)[0]):
        n, = struct.unpack_from("<i", data, at)
        name = data[at + 4:at + 4 + n].decode()
        calls, values = struct.unpack_from("<ii", data, at + 4 + n)
        entries[name] = np.frombuffer(data, np.float32, values, at + 12 + n) / np.float32(calls)
        at += 12 + n + 4 * values
    chunks, n = struct.unpack_from("<ii", data, at)
    tap.ok(chunks == 100 and data[at + 8:] == b"one.txt" and n == 7 and set(entries) == set(names) and
           all(np.allclose(entries[k], want[k].ravel(), rtol=3e-7) for k in names), "a .dat holds the same means")
    _, again = imatrix_lines(dat)
    tap.ok(all((again[k][1] == entries[k]).all() for k in names), "and we read it as others do")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for alignment in (None, 8, 64, 4096):
            tap.run("alignment", reads_what_the_package_writes, folder, alignment)
        tap.run("split", package_reads_what_we_split, folder)
        tap.run("package split", reads_what_the_package_splits, folder)
        tap.run("imatrix", imatrix_agrees, folder)
        tap.run("stock ggml", stock_reads_what_we_write, folder)
    tap.done()


main()
