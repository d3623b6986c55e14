"""Stock llama.cpp, from the PyPI package llama-cpp-py-sync, as the tests ask it.

Model(path): logits of token ids, tokenization, perplexity.  quantize(): llama-quantize.
"""
import numpy as np
from llama_cpp_py_sync import _cffi_bindings as bindings

ffi, lib = bindings.get_ffi(), bindings.get_lib()


@ffi.callback("void(enum ggml_log_level, const char *, void *)")
def _log(level, text, _):
    if level >= 4 and level != 5:  # errors; 5 continues a line
        print("# stock:", ffi.string(text).decode(errors="replace").rstrip())


lib.llama_log_set(_log, ffi.NULL)
lib.llama_backend_init()


class Model:
    def __init__(self, path, vocab_only=False, context=512, threads=2):
        params = lib.llama_model_default_params()
        params.vocab_only = vocab_only
        params.n_gpu_layers = 0
        params.use_extra_bufts = False
        self.model = lib.llama_model_load_from_file(str(path).encode(), params)
        if self.model == ffi.NULL:
            raise RuntimeError(f"stock llama.cpp does not load {path}")
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.size = lib.llama_vocab_n_tokens(self.vocab)
        self.context = ffi.NULL
        if not vocab_only:
            params = lib.llama_context_default_params()
            params.n_ctx = params.n_batch = params.n_ubatch = context
            params.n_threads = params.n_threads_batch = threads
            params.no_perf = True
            self.context = lib.llama_init_from_model(self.model, params)
            if self.context == ffi.NULL:
                raise RuntimeError(f"stock llama.cpp makes no context for {path}")

    def close(self):
        if self.context != ffi.NULL:
            lib.llama_free(self.context)
        lib.llama_model_free(self.model)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def logits(self, ids):
        """float32 [len(ids), vocabulary], one sequence from an empty cache."""
        n = len(ids)
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)
        batch = lib.llama_batch_init(n, 0, 1)
        batch.n_tokens = n
        for i, token in enumerate(ids):
            batch.token[i] = int(token)
            batch.pos[i] = i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = 1
        status = lib.llama_decode(self.context, batch)
        lib.llama_batch_free(batch)
        if status != 0:
            raise RuntimeError(f"llama_decode returns {status}")
        raw = ffi.buffer(lib.llama_get_logits(self.context), n * self.size * 4)
        return np.frombuffer(raw, np.float32).reshape(n, self.size).copy()

    def tokenize(self, text, special=True, parse_special=True):
        data = text.encode("utf-8") if isinstance(text, str) else text
        room = len(data) + 16
        out = ffi.new("llama_token[]", room)
        n = lib.llama_tokenize(self.vocab, data, len(data), out, room, special, parse_special)
        if n < 0:
            raise RuntimeError(f"llama_tokenize wants {-n} tokens")
        return [out[i] for i in range(n)]

    def piece(self, token):
        out = ffi.new("char[]", 256)
        n = lib.llama_token_to_piece(self.vocab, token, out, 256, 0, True)
        return bytes(ffi.buffer(out, n)) if n >= 0 else b""

    def perplexity(self, text, context=512):
        """As llama-perplexity: windows of `context`, the second half of each scored."""
        ids = self.tokenize(text)
        add_bos = lib.llama_vocab_get_add_bos(self.vocab)
        bos = lib.llama_vocab_bos(self.vocab)
        first, loss, count = context // 2, 0.0, 0
        for at in range(0, len(ids) - context + 1, context):
            window = list(ids[at : at + context])
            if add_bos:
                window[0] = bos
            x = self.logits(window)[first : context - 1].astype(np.float64)
            target = ids[at + first + 1 : at + context]
            top = x.max(axis=1, keepdims=True)
            total = np.log(np.exp(x - top).sum(axis=1)) + top[:, 0]
            loss += float((total - x[np.arange(len(target)), target]).sum())
            count += len(target)
        return float(np.exp(loss / count)), count // (context - 1 - first)


def quantize(source, out, ftype, threads=2, pure=False, imatrix=None, allow_requantize=False):
    """llama-quantize: ftype is the LLAMA_FTYPE number; imatrix {tensor name: float32 array}."""
    params = ffi.new("llama_model_quantize_params *", lib.llama_model_quantize_default_params())
    params.nthread = threads
    params.ftype = ftype
    params.pure = pure
    params.allow_requantize = allow_requantize
    keep = []
    if imatrix:
        rows = ffi.new("struct llama_model_imatrix_data[]", len(imatrix) + 1)
        for row, (name, values) in zip(rows, imatrix.items()):
            text = ffi.new("char[]", name.encode())
            data = np.ascontiguousarray(values, np.float32)
            keep += [text, data]
            row.name = text
            row.data = ffi.cast("const float *", data.ctypes.data)
            row.size = data.size
        keep.append(rows)
        params.imatrix = rows
    status = lib.llama_model_quantize(str(source).encode(), str(out).encode(), params)
    if status != 0:
        raise RuntimeError(f"llama_model_quantize returns {status}")
