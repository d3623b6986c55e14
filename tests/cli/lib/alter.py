"""Makes files that are wrong in one place, and importance matrices.

    alter.py value FILE.safetensors TENSOR INDEX nan|inf|-inf
    alter.py header FILE.safetensors TENSOR KEY JSON
    alter.py json FILE.json KEY JSON
    alter.py vocabulary TOKENIZER.json COUNT
    alter.py transpose FILE.gguf TENSOR (rows for columns)
    alter.py flip FILE OFFSET           (negative: from the end)
    alter.py imatrix OUT.dat FIRST COUNT COLUMNS_FACTOR  < `quern inspect --json` of a GGUF
"""
import json
import os
import random
import struct
import sys

BITS = {
    "F16": {"nan": "007e", "inf": "007c", "-inf": "00fc"},
    "BF16": {"nan": "c07f", "inf": "807f", "-inf": "80ff"},
    "F32": {"nan": "0000c07f", "inf": "0000807f", "-inf": "000080ff"},
}


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:], 8 + size


def value(path, name, index, what):
    header, _, start = read_safetensors(path)
    bits = bytes.fromhex(BITS[header[name]["dtype"]][what])
    with open(path, "r+b") as f:
        f.seek(start + header[name]["data_offsets"][0] + int(index) * len(bits))
        f.write(bits)


def header(path, name, key, text):
    head, data, _ = read_safetensors(path)
    head[name][key] = json.loads(text)
    head = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + data)


def set_json(path, key, text):
    with open(path) as f:
        root = json.load(f)
    root[key] = json.loads(text)
    with open(path, "w") as f:
        json.dump(root, f)


def vocabulary(path, count):
    with open(path) as f:
        root = json.load(f)
    tokens = {t: i for t, i in root["model"]["vocab"].items() if i < int(count)}
    for i in range(len(tokens), int(count)):
        tokens["more%d" % i] = i
    root["model"]["vocab"] = tokens
    joined = [m if isinstance(m, list) else m.split(" ") for m in root["model"]["merges"]]
    root["model"]["merges"] = [m for m in joined if "".join(m) in tokens]
    with open(path, "w") as f:
        json.dump(root, f)


def transpose(path, name):
    with open(path, "r+b") as f:
        data = f.read()
        at = data.index(struct.pack("<Q", len(name)) + name.encode()) + 8 + len(name)
        dims, columns, rows = struct.unpack_from("<IQQ", data, at)
        assert dims == 2 and rows != columns
        f.seek(at + 4)
        f.write(struct.pack("<QQ", rows, columns))


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(int(offset), os.SEEK_END if int(offset) < 0 else os.SEEK_SET)
        old = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([old ^ 0x55]))


def imatrix(path, first, count, factor):
    tensors = [t for t in json.load(sys.stdin)["tensors"] if len(t["shape"]) == 2]
    tensors = tensors[int(first):int(first) + int(count)]
    rng = random.Random(7)
    with open(path, "wb") as f:
        f.write(struct.pack("<i", len(tensors)))
        for t in tensors:
            name, columns = t["name"].encode(), int(t["shape"][1] * float(factor))
            f.write(struct.pack("<i", len(name)) + name + struct.pack("<ii", 10, columns))
            f.write(struct.pack("<%df" % columns, *(10 * rng.expovariate(1) for _ in range(columns))))
        f.write(struct.pack("<i", 10) + struct.pack("<i", 8) + b"text.txt")


COMMANDS = {"value": value, "header": header, "json": set_json, "vocabulary": vocabulary,
            "transpose": transpose, "flip": flip, "imatrix": imatrix}
COMMANDS[sys.argv[1]](*sys.argv[2:])
