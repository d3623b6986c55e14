"""llama-imatrix, from the PyPI package llama-cpp-python, which has the library but not the tool.

usage: stock_calibrate.py SOURCE.gguf TEXT OUT.gguf WINDOWS THREADS

Counts as the tool does: the text in windows of 512 tokens, side by side, each begun with BOS where the model has
one, a last one that is not full left out; of every product with a weight of a layer the mean square of each input
column.  Inputs are read through ggml's callback of evaluation.  OUT is an imatrix in the form of GGUF.
"""
import ctypes
import pathlib
import sys

import gguf
import llama_cpp
import numpy as np

import stock_model

CONTEXT = 512


class Tensor(ctypes.Structure):
    """struct ggml_tensor as it stands in the version that requirements.txt pins."""


Tensor._fields_ = [
    ("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64), ("extra", ctypes.c_void_p), ("padding", ctypes.c_char * 8),
]

_base = ctypes.CDLL(str(next((pathlib.Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.so"))))
_base.ggml_op_name.restype = ctypes.c_char_p


class Importance:
    """Sums of squares of the inputs of each weight, and how many rows they are of."""

    def __init__(self):
        self.squares, self.rows = {}, {}
        self.callback = llama_cpp.ggml_backend_sched_eval_callback(self._look)

    def _look(self, pointer, ask, _):
        t = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
        if _base.ggml_op_name(t.op) != b"MUL_MAT" or not t.src[0].contents.name.startswith(b"blk."):
            return not ask
        if not ask:
            self._add(t.src[0].contents.name.decode(), t.src[1].contents)
        return True

    def _add(self, name, x):
        cols, rows = x.ne[0], x.ne[1] * x.ne[2] * x.ne[3]
        assert x.type == 0 and x.nb[1] == 4 * cols, name  # contiguous floats
        data = np.ctypeslib.as_array(ctypes.cast(x.data, ctypes.POINTER(ctypes.c_float)), (rows, cols))
        self.squares[name] = self.squares.get(name, 0.0) + np.square(data, dtype=np.float64).sum(axis=0)
        self.rows[name] = self.rows.get(name, 0) + rows


def calibrate(source, text, out, most, threads):
    seen = Importance()
    with stock_model.Model(source, CONTEXT, threads, seen.callback) as model:
        windows = model.windows(text.read_bytes(), CONTEXT, most)
        for window, _ in windows:
            model.logits(window, 0)  # all, as the tool: stock skips the last layer's rows that nobody asks for
    writer = gguf.GGUFWriter(out, "")
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", [text.name])
    writer.add_uint32("imatrix.chunk_count", len(windows))
    writer.add_uint32("imatrix.chunk_size", CONTEXT)
    for name in sorted(seen.squares):
        writer.add_tensor(f"{name}.in_sum2", seen.squares[name].astype(np.float32).reshape(1, -1))
        writer.add_tensor(f"{name}.counts", np.array([[seen.rows[name]]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    calibrate(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
