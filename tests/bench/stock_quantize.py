"""llama-quantize, from the PyPI package llama-cpp-python.

usage: stock_quantize.py SOURCE.gguf OUT.gguf TYPE THREADS [IMATRIX.gguf]
"""
import ctypes
import sys

import gguf
import llama_cpp

FTYPE = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
         "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}


@llama_cpp.llama_log_callback
def _silent(*_):
    pass


def importance(path):
    """The array that llama_model_quantize reads, ended by an empty entry; and what it points to."""
    tensors = {t.name: t.data for t in gguf.GGUFReader(path).tensors}
    means = []
    for name in sorted(n[: -len(".in_sum2")] for n in tensors if n.endswith(".in_sum2")):
        mean = tensors[f"{name}.in_sum2"] / tensors[f"{name}.counts"].reshape(-1, 1)
        means.append((name.encode(), mean.astype("float32").ravel()))
    array = (llama_cpp.llama_model_imatrix_data * (len(means) + 1))()
    for entry, (name, mean) in zip(array, means):
        entry.name = name
        entry.data = mean.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = mean.size
    return array, means


def quantize(source, out, name, threads, imatrix=None):
    llama_cpp.llama_log_set(_silent, None)
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = FTYPE[name]
    if imatrix:
        array, means = importance(imatrix)
        params.imatrix = array
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params))
    if status != 0:
        raise SystemExit(f"llama_model_quantize returns {status}")


if __name__ == "__main__":
    quantize(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
