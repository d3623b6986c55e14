"""quern calibrate: the file read with h5py beside X'X of a float64 forward pass in numpy, and beside what stock
llama.cpp multiplies with; importance matrices in the package gguf; files that are damaged or of another model.

usage: test_calibrate.py BUILD_DIR
"""
import pathlib
import shutil
import tempfile

import gguf
import h5py
import numpy as np

import activations
import program
import stock
import tap
from program import quern, run

DEMO = pathlib.Path("examples/demo")
GOLDEN = pathlib.Path("tests/golden/models")
TEXT = pathlib.Path("examples/calibration.txt")
CONTEXT, WINDOWS = 128, 4
FOUR = ("attn_in", "attn_out", "ffn_in", "ffn_mid")
LINEARS = {"attn_in": ("attn_q", "attn_k", "attn_v"), "attn_out": ("attn_output",), "ffn_in": ("ffn_gate", "ffn_up"),
           "ffn_mid": ("ffn_down",)}


def calibrate(source, out, *args):
    quern("calibrate", source, "-f", TEXT, "-o", out, "-c", CONTEXT, "--chunks", WINDOWS, "-q", "--force", *args)
    return out


def full(upper, cols):
    """The symmetric matrix of a packed upper triangle."""
    h = np.zeros((cols, cols))
    h[np.triu_indices(cols)] = upper
    return h + np.triu(h, 1).T


def windows(path):
    """The tokens of the windows as stock llama.cpp makes them."""
    with stock.Model(path, vocab_only=True) as model:
        text = TEXT.read_bytes()
        ids = np.array(model.tokenize(text[:-1] if text.endswith(b"\n") else text))
        ids = ids[: CONTEXT * WINDOWS].reshape(WINDOWS, CONTEXT)
        if stock.lib.llama_vocab_get_add_bos(model.vocab):
            ids[:, 0] = stock.lib.llama_vocab_bos(model.vocab)
        return ids


def distance(got, want):
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def hessians(path, h5):
    model = activations.Llama(path)
    sums = {}
    for ids in windows(path):
        for name, x in model.inputs(ids).items():
            sums[name] = sums.get(name, 0) + x.T @ x
    tokens = CONTEXT * WINDOWS
    first = later = diagonal = 0.0
    with h5py.File(h5) as f:
        tap.ok(list(f) == list(sums) or sorted(f) == sorted(sums), "h5py finds a group an input", f"{len(sums)} groups")
        for name, want in sums.items():
            g = f[name]
            got = full(g["hessian"][0], int(g.attrs["cols"]))
            error = distance(got, want / tokens)
            first, later = (max(first, error), later) if name.startswith("blk.0.") else (first, max(later, error))
            diagonal = max(diagonal, distance(g["mean_square"][0], want.diagonal() / tokens))
            if g["tokens"][0] != tokens or not np.array_equal(got.diagonal(), g["mean_square"][0]):
                tap.ok(False, f"tokens and diagonal of {name}")
        tap.ok(first <= 1e-6, "Hessians of the first block equal a float64 X'X", f"{first:.2g} <= 1e-6")
        tap.ok(later <= 3e-6, "and, with the f32 of the layers before, of all others", f"{later:.2g} <= 3e-6")
        tap.ok(diagonal <= 1e-5, "mean squares, too", f"{diagonal:.2g}")
        tensors = [t.decode() for t in f["blk.1.attn_in"].attrs["tensors"]]
        tap.ok(tensors == [f"blk.1.attn_{p}.weight" for p in "qkv"], "a group names its linears")
        order = f.attrs["kind"] == b"hessian" and f.attrs["tokens"] == tokens and f.attrs["architecture"] == b"llama"
        tap.ok(bool(order) and f.attrs["texts"][0] == b"calibration.txt", "the root says what it is of")


def attributes(h5):
    """Independent hashes, and the filters of a Hessian."""
    import hashlib
    with h5py.File(h5) as f:
        h = f["blk.0.ffn_mid/hessian"]
        tap.ok(h.chunks is not None and h.compression == "gzip" and h.shuffle and h.fletcher32 and h.dtype == "<f4",
               "a Hessian is f32: chunked, shuffled, deflated, with checksums")
        tap.ok(f.attrs["texts_sha256"][0].decode() == hashlib.sha256(TEXT.read_bytes()).hexdigest(),
               "the text's sha256 is that of its bytes")


def stock_importance(path):
    """in_sum2 and counts as llama.cpp's imatrix tool defines them: sums of squares of every row that a matrix of the
    model is multiplied with, collected from stock's own graph."""
    sums, counts = {}, {}

    def collect(name, x):
        sums[name] = sums.get(name, 0) + (x.astype(np.float64) ** 2).sum(0)
        counts[name] = counts.get(name, 0) + len(x)

    with stock.Watched(path, collect, context=CONTEXT) as model:
        for ids in windows(path):
            model.logits(ids)
    return sums, counts


def read_imatrix(path):
    reader = gguf.GGUFReader(path)
    values = {t.name: np.array(t.data, np.float64) for t in reader.tensors}
    names = [n[: -len(".in_sum2")] for n in values if n.endswith(".in_sum2")]
    return {n: (values[n + ".in_sum2"].reshape(-1), values[n + ".counts"].reshape(-1)) for n in names}


def imatrix(path, tmp):
    """Written, read by the package gguf, and compared with stock's own counting."""
    ours = read_imatrix(calibrate(path, tmp / "imatrix.gguf"))
    sums, counts = stock_importance(path)
    names = {n for n in sums if n.startswith("blk.")}
    tap.ok(names == set(ours), "entries for the same matrices as stock's graph multiplies with", f"{len(names)}")
    worst = max(distance(ours[n][0], sums[n]) for n in names)
    each = max(float((np.abs(ours[n][0] - sums[n]) / sums[n].mean()).max()) for n in names)
    tap.ok(worst <= 1e-5, "in_sum2 are stock's", f"{worst:.2g} <= 1e-5; single values {each:.2g}")
    tap.ok(all(ours[n][1][0] == counts[n] for n in names), "counts are stock's")
    with h5py.File(tmp / "a.h5") as f:
        same = all(distance(ours[f"blk.0.{t}.weight"][0] / (CONTEXT * WINDOWS), f[f"blk.0.{i}/mean_square"][0]) < 1e-6
                   for i in FOUR for t in LINEARS[i])
        tap.ok(same, "and the mean squares of the calib.h5")


def conversions(tmp):
    """calib.h5 to imatrix and back, in both forms."""
    for form in ("dat", "gguf"):
        name = tmp / f"back.{form}"
        quern("calibrate", "--merge", tmp / "a.h5", "-o", name, "-q")
        quern("calibrate", "--merge", name, "-o", tmp / f"back.{form}.h5", "-q")
        with h5py.File(tmp / "a.h5") as a, h5py.File(tmp / f"back.{form}.h5") as b:
            same = [n for n in a if n != "output_in" and n in b and
                    distance(b[n]["mean_square"][:], a[n]["mean_square"][:]) < 1e-6 and
                    list(a[n].attrs["tensors"]) == list(b[n].attrs["tensors"])]
            tap.ok(len(same) == len(a) - 1 == len(b) and b.attrs["kind"] == b"importance",
                   f"a calib.h5 of a .{form} has the same inputs and means", f"{len(same)} groups")
            if form == "gguf":
                tap.ok(b["blk.0.ffn_mid/tokens"][0] == CONTEXT * WINDOWS, "and the tokens")


def merging(tmp):
    """Two halves of a text together are the whole, as float64 sums it."""
    text = TEXT.read_bytes()
    (tmp / "one.txt").write_bytes(text[:6000])
    (tmp / "two.txt").write_bytes(text[6000:20000])
    for name in ("one", "two"):
        quern("calibrate", DEMO, "-f", tmp / f"{name}.txt", "-o", tmp / f"{name}.h5", "-c", CONTEXT, "-q")
    quern("calibrate", "--merge", tmp / "one.h5", tmp / "two.h5", "-o", tmp / "both.h5", "-q")
    quern("calibrate", DEMO, "-f", tmp / "one.txt", "-f", tmp / "two.txt", "-o", tmp / "joined.h5", "-c", CONTEXT, "-q")
    worst = together = 0.0
    with h5py.File(tmp / "one.h5") as a, h5py.File(tmp / "two.h5") as b, h5py.File(tmp / "both.h5") as c, \
            h5py.File(tmp / "joined.h5") as d:
        for n in a:
            s, t = int(a[n]["tokens"][0]), int(b[n]["tokens"][0])
            want = (s * a[n]["hessian"][0].astype(np.float64) + t * b[n]["hessian"][0]) / (s + t)
            worst = max(worst, distance(c[n]["hessian"][0], want), c[n]["tokens"][0] != s + t)
            together = max(together, distance(c[n]["hessian"][0], d[n]["hessian"][0]))
        tap.ok(s != t and worst <= 1e-7, "merging weights by tokens", f"{s} and {t} tokens, {worst:.2g}")
        tap.ok(together <= 1e-6, "and is what both texts in one run give", f"{together:.2g}")
        tap.ok(list(c.attrs["texts"]) == [b"one.txt", b"two.txt"], "the merged file names both texts")


def damaged(tmp, name, change, says, command="inspect"):
    path = tmp / f"{name}.h5"
    shutil.copy(tmp / "a.h5", path)
    change(path)
    done = run(command, path)
    lines = done.stderr.strip().splitlines()
    tap.ok(done.returncode == 1 and len(lines) == 1 and says in lines[0], f"refused: {name}", lines[-1] if lines else "")


def with_h5(change):
    def apply(path):
        with h5py.File(path, "r+") as f:
            change(f)
    return apply


def spoil(f, path, index, value):
    values = f[path][:]
    values[index] = value
    f[path][...] = values


def replace(f, path, shape, **options):
    del f[path]
    f.create_dataset(path, shape=shape, dtype="<f4", **options)


def bad_files(tmp):
    damaged(tmp, "cut short", lambda p: p.write_bytes(p.read_bytes()[:5000]), "cut short.h5")
    damaged(tmp, "a NaN among the means", with_h5(lambda f: spoil(f, "blk.1.ffn_in/mean_square", (0, 3), np.nan)),
            "group 'blk.1.ffn_in': the mean square of column 3")
    damaged(tmp, "a mean below 0", with_h5(lambda f: spoil(f, "blk.1.ffn_in/mean_square", (0, 3), -1)), "is -1")
    damaged(tmp, "a group without its Hessian", with_h5(lambda f: f.__delitem__("blk.2.attn_in/hessian")),
            "group 'blk.2.attn_in': its Hessian is missing")
    damaged(tmp, "a Hessian of another size", with_h5(lambda f: replace(f, "blk.2.attn_in/hessian", (1, 77))),
            "data set 'hessian' is 1 x 77")
    damaged(tmp, "a Hessian that was never written",
            with_h5(lambda f: replace(f, "blk.2.attn_in/hessian", f["blk.2.attn_in/hessian"].shape, chunks=(1, 256))),
            "is not stored in this file")
    damaged(tmp, "a group that is a link to another file",
            with_h5(lambda f: f.__setitem__("away", h5py.ExternalLink("a.h5", "blk.0.attn_in"))), "group 25")
    damaged(tmp, "a later version", with_h5(lambda f: f.attrs.__setitem__("format_version", np.uint64(9))), "version 9")
    damaged(tmp, "a tensor twice", with_h5(lambda f: f["blk.0.ffn_mid"].attrs.__setitem__(
        "tensors", np.array([b"blk.0.ffn_up.weight"]))), "tensor 'blk.0.ffn_up.weight' is there twice")
    damaged(tmp, "columns beyond what the file can hold",
            with_h5(lambda f: f["blk.0.ffn_mid"].attrs.__setitem__("cols", np.uint64(1 << 23))), "blk.0.ffn_mid")
    damaged(tmp, "no groups", with_h5(lambda f: [f.__delitem__(n) for n in list(f)]), "no groups")


def merge_refuses(tmp, name, other, says):
    done = run("calibrate", "--merge", tmp / "a.h5", other, "-o", tmp / "never.h5")
    line = [l for l in done.stderr.splitlines() if l.startswith("quern calibrate")]
    tap.ok(done.returncode == 1 and len(line) == 1 and says in line[0] and not (tmp / "never.h5").exists() and
           not (tmp / "never.h5.tmp").exists(), f"not merged: {name}", line[0] if line else done.stderr)


def bad_merges(tmp):
    (tmp / "short.txt").write_text("the quick brown fox " * 40)
    quern("calibrate", GOLDEN / "qwen2", "-f", tmp / "short.txt", "-o", tmp / "qwen2.h5", "-c", 32, "-q")
    merge_refuses(tmp, "another architecture", tmp / "qwen2.h5", "of other models: llama and qwen2")
    calibrate(DEMO, tmp / "squares.h5", "--importance-only")
    merge_refuses(tmp, "importance with Hessians", tmp / "squares.h5", "has importance alone")
    path = tmp / "spoiled.h5"
    shutil.copy(tmp / "a.h5", path)
    with h5py.File(path, "r+") as f:
        spoil(f, "blk.1.ffn_in/hessian", (0, 5), np.inf)
    merge_refuses(tmp, "an infinity in a Hessian", path, "spoiled.h5: group 'blk.1.ffn_in': the Hessian's value")
    shutil.copy(tmp / "a.h5", path)
    with h5py.File(path, "r+") as f:
        offset = f["blk.1.ffn_in/hessian"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 40] ^= 4
    path.write_bytes(bytes(data))
    merge_refuses(tmp, "a flipped bit in a Hessian", path, "spoiled.h5: group 'blk.1.ffn_in'")


def fingerprints(tmp):
    """The same for the folder and all its GGUFs, another for another model."""
    def of(source, *args):
        calibrate(source, tmp / "f.h5", "--importance-only", *args)
        with h5py.File(tmp / "f.h5") as f:
            return f.attrs["model"], f.attrs["source_sha256"], f.attrs["through_sha256"], f["blk.5.ffn_mid/mean_square"][0]
    quern("quantize", DEMO, "-o", tmp / "q4.gguf", "--type", "Q4_K_M", "-q")
    folder, f32, q4 = of(DEMO), of(tmp / "f32.gguf"), of(tmp / "q4.gguf")
    tap.ok(folder[0] == f32[0] == q4[0], "one fingerprint for a folder, its F32 and its Q4_K_M")
    tap.ok(len({folder[1], f32[1], q4[1]}) == 3, "and three sources")
    through = of(DEMO, "--through", tmp / "q4.gguf")
    tap.ok(np.array_equal(through[3], q4[3]) and not np.array_equal(through[3], folder[3]) and through[1] == folder[1] and
           through[2] == q4[1], "--through gathers the other file's activations of the source's model")
    calibrate(DEMO, tmp / "s.h5")
    quern("quantize", DEMO, "-o", tmp / "folded.gguf", "--type", "Q8_0", "--method", "awq", "--calib", tmp / "s.h5", "-q")
    calibrate(DEMO, tmp / "u.h5", "--through", tmp / "folded.gguf")
    with h5py.File(tmp / "s.h5") as source, h5py.File(tmp / "u.h5") as folded:
        off = max(np.linalg.norm(g["hessian"][0] - source[name]["hessian"][0]) / np.linalg.norm(source[name]["hessian"][0])
                  for name, g in folded.items())
    tap.ok(off < 0.02, "--through a folded file: the inputs as they were before", f"Hessians are off by at most {off:.4f}")
    done = run("calibrate", DEMO, "-f", TEXT, "-o", tmp / "t.h5", "--through", GOLDEN / "llama")
    tap.ok(done.returncode == 1 and "is of another model than" in done.stderr, "--through refuses another model")


def memory(tmp):
    """What is stated before the work bounds what the process had in memory, beside the mapped model."""
    for kind in ([], ["--importance-only"]):
        stated, peak = program.memory("calibrate", tmp / "f32.gguf", "-f", TEXT, "-o", tmp / "m.h5", "--force",
                                      "--chunks", 2, *kind)
        peak -= (tmp / "f32.gguf").stat().st_size
        tap.ok(peak <= stated, "memory is what was stated" + (", importance alone" if kind else ""),
               f"{peak / 2**20:.1f} of {stated / 2**20:.1f} MiB")


def overflow(tmp):
    """A model whose activations are not finite: the input and column are named, and nothing is left."""
    path = tmp / "huge.gguf"
    shutil.copy(tmp / "f32.gguf", path)
    reader = gguf.GGUFReader(path, "r+")
    tensor = next(t for t in reader.tensors if t.name == "blk.1.ffn_up.weight")
    tensor.data[7, :] = 3e38
    reader.data.flush()
    (tmp / "here").mkdir()
    done = run("calibrate", path, "-f", TEXT, "-o", tmp / "here" / "a.h5", "-c", CONTEXT, "-q")
    tap.ok(done.returncode == 1 and "window 0: blk.1.ffn_mid: the activations of column 7 are not finite" in done.stderr and
           not list((tmp / "here").iterdir()), "activations that are not finite are refused", done.stderr.strip())


def main():
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        quern("convert", DEMO, "-o", tmp / "f32.gguf", "--type", "F32", "-q")
        calibrate(DEMO, tmp / "a.h5")
        tap.run("Hessians beside numpy", hessians, tmp / "f32.gguf", tmp / "a.h5")
        tap.run("attributes", attributes, tmp / "a.h5")
        tap.run("imatrix beside stock", imatrix, tmp / "f32.gguf", tmp)
        tap.run("conversions", conversions, tmp)
        tap.run("merging", merging, tmp)
        tap.run("bad files", bad_files, tmp)
        tap.run("bad merges", bad_merges, tmp)
        tap.run("fingerprints", fingerprints, tmp)
        tap.run("overflow", overflow, tmp)
        tap.run("memory", memory, tmp)
    tap.done()


main()
