"""The PyPI package safetensors reads the same tensors from the same files, and refuses what quern refuses.

usage: test_safetensors_package.py BUILD_DIR        (QUERN_SHARED: a folder with more models)
"""
import json
import os
import pathlib
import random
import subprocess
import tempfile
import zlib

import safetensors

import tap
from program import BUILD

DUMP = BUILD / "tests/formats/dump_checkpoint"


def ours(path):
    """{name: (dtype, crc32, shape)}, or None where quern refuses; anything but a refusal throws."""
    done = subprocess.run([DUMP, path], capture_output=True, text=True)
    if done.returncode == 1 and done.stderr:
        return None
    if done.returncode != 0:
        raise RuntimeError(f"dump_checkpoint {path}: exit {done.returncode}: {done.stderr}")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: (dtype, crc, [int(n) for n in shape.split()]) for name, dtype, crc, shape in lines}


def theirs(data):
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return None
    return {name: (t["dtype"], f"{zlib.crc32(t['data']):08x}", t["shape"]) for name, t in tensors}


def folder(path):
    want = {}
    for file in sorted(path.glob("model*.safetensors")):
        want.update(theirs(file.read_bytes()))
    got = ours(path)
    tap.ok(got == want, f"{path.name}: same names, types, shapes and bytes", f"{len(want)} tensors")


def stricter(data, theirs_read):
    """Does quern refuse this on purpose: a name twice, a type or a number of sizes it has no use for?"""
    def once(pairs):
        if len({k for k, _ in pairs}) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)
    try:
        length = int.from_bytes(data[:8], "little")
        json.loads(data[8:8 + length], object_pairs_hook=once)
    except ValueError:
        return True
    known = {"F16", "BF16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "BOOL", "F8_E4M3", "F8_E5M2"}
    return any(dtype not in known or len(shape) > 8 for dtype, _, shape in theirs_read.values())


def change(rng, text):
    """One or two bytes of the header other, or gone."""
    text = bytearray(text)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(text))
        text[at:at + 1] = bytes([rng.choice(b'0123456789[]{},:" -.eFIBU\\\x00\xff')]) if rng.random() < 0.7 else b""
    return bytes(text)


def verdicts(tmp):
    """Small files, each changed a little at random: taken by both with the same result, or by none."""
    rng = random.Random(1)
    header = {"__metadata__": {"format": "pt"}}
    header |= {f"t{i}": {"dtype": d, "shape": [2, 3], "data_offsets": [6 * i, 6 * i + 6]}
               for i, d in enumerate(["I8", "U8", "BOOL", "F8_E4M3"])}
    path = pathlib.Path(tmp) / "changed.safetensors"
    taken = refused = 0
    for _ in range(1500):
        text = change(rng, json.dumps(header).encode())
        length = len(text) + (rng.randint(-2, 2) if rng.random() < 0.1 else 0)
        data = length.to_bytes(8, "little") + text + bytes(range(24 + (rng.random() < 0.1)))
        path.write_bytes(data)
        got, want = ours(path), theirs(data)
        if got != want and not (got is None and stricter(data, want)):
            tap.ok(False, "changed files: same verdict", f"{data!r}: {got} but {want}")
            return
        taken, refused = taken + (got is not None), refused + (got is None)
    tap.ok(taken > 50 and refused > 50, "changed files: same verdict", f"{taken} taken, {refused} refused")


for model in sorted(pathlib.Path("tests/golden/models").iterdir()):
    tap.run(model.name, folder, model)
if os.environ.get("QUERN_SHARED"):
    for model in sorted((pathlib.Path(os.environ["QUERN_SHARED"]) / "golden/models").iterdir()):
        if (model / "reference.safetensors").exists():
            tap.run(model.name, folder, model)
with tempfile.TemporaryDirectory() as tmp:
    tap.run("changed files", verdicts, tmp)
tap.done()
