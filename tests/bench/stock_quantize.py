"""llama-quantize, from the PyPI package llama-cpp-python.

usage: stock_quantize.py SOURCE.gguf OUT.gguf TYPE THREADS
"""
import ctypes
import sys

import llama_cpp

FTYPE = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
         "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}


@llama_cpp.llama_log_callback
def _silent(*_):
    pass


def quantize(source, out, name, threads):
    llama_cpp.llama_log_set(_silent, None)
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = FTYPE[name]
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params))
    if status != 0:
        raise SystemExit(f"llama_model_quantize returns {status}")


if __name__ == "__main__":
    quantize(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
