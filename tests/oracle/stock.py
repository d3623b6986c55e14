"""Stock llama.cpp and ggml, from the PyPI package xllamacpp, as the tests ask them.

The package's extension module exports the C interfaces of llama.h and ggml.h; they are declared here as
they stand in the version that requirements.txt pins.
"""
import importlib.util
import pathlib

import cffi
import numpy as np

ffi = cffi.FFI()
ffi.cdef("""
typedef int32_t llama_token;
struct llama_model_params {
    void *devices, *tensor_buft_overrides;
    int32_t n_gpu_layers;
    int split_mode, load_mode, lazy_mode;
    int32_t main_gpu;
    const float *tensor_split;
    void *progress_callback, *progress_callback_user_data, *kv_overrides;
    bool vocab_only, check_tensors, use_extra_bufts, no_host, no_alloc, load_mtp;
};
struct llama_context_params {
    uint32_t n_ctx, n_batch, n_ubatch, n_seq_max, n_rs_seq, n_outputs_max, n_outputs_max_per_seq;
    int32_t n_threads, n_threads_batch;
    int ctx_type, rope_scaling_type, pooling_type, attention_type, flash_attn_type;
    float rope_freq_base, rope_freq_scale, yarn_ext_factor, yarn_attn_factor, yarn_beta_fast, yarn_beta_slow;
    uint32_t yarn_orig_ctx;
    float defrag_thold;
    void *cb_eval, *cb_eval_user_data;
    int type_k, type_v;
    size_t moe_cache_size;
    void *abort_callback, *abort_callback_data;
    bool embeddings, offload_kqv, no_perf, op_offload, swa_full, kv_unified;
    void *samplers;
    size_t n_samplers;
    void *ctx_other;
};
struct llama_batch {
    int32_t n_tokens;
    llama_token *token;
    float *embd;
    int32_t *pos, *n_seq_id, **seq_id;
    int8_t *logits;
};
void llama_log_set(void (*)(int, const char *, void *), void *);
void llama_backend_init(void);
struct llama_model_params llama_model_default_params(void);
struct llama_context_params llama_context_default_params(void);
void *llama_model_load_from_file(const char *, struct llama_model_params);
void llama_model_free(void *);
void *llama_init_from_model(void *, struct llama_context_params);
void llama_free(void *);
const void *llama_model_get_vocab(const void *);
int32_t llama_vocab_n_tokens(const void *);
bool llama_vocab_get_add_bos(const void *);
llama_token llama_vocab_bos(const void *);
int32_t llama_tokenize(const void *, const char *, int32_t, llama_token *, int32_t, bool, bool);
int32_t llama_token_to_piece(const void *, llama_token, char *, int32_t, int32_t, bool);
void *llama_get_memory(const void *);
void llama_memory_clear(void *, bool);
struct llama_batch llama_batch_init(int32_t, int32_t, int32_t);
void llama_batch_free(struct llama_batch);
int32_t llama_decode(void *, struct llama_batch);
float *llama_get_logits(void *);
struct ggml_tensor {
    int type;
    void *buffer;
    int64_t ne[4];
    size_t nb[4];
    int op;
    int32_t op_params[16], flags;
    struct ggml_tensor *src[10], *view_src;
    size_t view_offs;
    void *data;
    char name[64];
    void *extra;
    char padding[8];
};
const char *ggml_op_desc(const struct ggml_tensor *);
void ggml_quantize_init(int);
struct gguf_init_params { bool no_alloc; void **ctx; };
void *gguf_init_from_file(const char *, struct gguf_init_params);
void gguf_free(void *);
int64_t gguf_get_n_kv(const void *);
int64_t gguf_get_n_tensors(const void *);
size_t gguf_get_data_offset(const void *);
const char *gguf_get_tensor_name(const void *, int64_t);
int gguf_get_tensor_type(const void *, int64_t);
size_t gguf_get_tensor_offset(const void *, int64_t);
size_t ggml_quantize_chunk(int, const float *, void *, int64_t, int64_t, int64_t, const float *);
""")
_package = pathlib.Path(importlib.util.find_spec("xllamacpp").origin).parent
lib = ffi.dlopen(str(next(_package.glob("xllamacpp*.so"))))


@ffi.callback("void(int, const char *, void *)")
def _log(level, text, _):
    if level == 4:  # errors
        print("# stock:", ffi.string(text).decode(errors="replace").rstrip())


lib.llama_log_set(_log, ffi.NULL)
lib.llama_backend_init()


class Model:
    """A GGUF file in stock llama.cpp, on the CPU; options are other members of llama_context_params."""

    def __init__(self, path, vocab_only=False, context=512, threads=2, **options):
        params = lib.llama_model_default_params()
        params.vocab_only = vocab_only
        params.n_gpu_layers = 0
        params.use_extra_bufts = False
        self.context = ffi.NULL
        self.model = lib.llama_model_load_from_file(str(path).encode(), params)
        if self.model == ffi.NULL:
            raise RuntimeError(f"stock llama.cpp does not load {path}")
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.size = lib.llama_vocab_n_tokens(self.vocab)
        if not vocab_only:
            params = lib.llama_context_default_params()
            params.n_ctx = params.n_batch = params.n_ubatch = context
            params.n_threads = params.n_threads_batch = threads
            for name, value in options.items():
                setattr(params, name, value)
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

    def tokenize(self, text, add_special=True, parse_special=True):
        data = text.encode("utf-8") if isinstance(text, str) else text
        room = len(data) + 16
        out = ffi.new("llama_token[]", room)
        n = lib.llama_tokenize(self.vocab, data, len(data), out, room, add_special, parse_special)
        if n < 0:
            raise RuntimeError(f"llama_tokenize wants {-n} tokens")
        return [out[i] for i in range(n)]

    def piece(self, token):
        out = ffi.new("char[]", 256)
        n = lib.llama_token_to_piece(self.vocab, token, out, 256, 0, True)
        return bytes(ffi.buffer(out, n)) if n >= 0 else b""

    def perplexity(self, text, context=512):
        """As llama-perplexity: windows of `context`, the second half of each scored.  (value, windows)"""
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


class Watched(Model):
    """A model that shows what its matrices are multiplied with: seen(name of the matrix, float32 [rows, columns])."""

    def __init__(self, path, seen, **options):
        @ffi.callback("bool(struct ggml_tensor *, bool, void *)")
        def watch(t, ask, _):
            if ffi.string(lib.ggml_op_desc(t)) != b"MUL_MAT" or not ffi.string(t.src[0].name).endswith(b".weight"):
                return not ask
            if not ask:
                x = t.src[1]
                if x.type != 0 or x.nb[1] != 4 * x.ne[0] or x.ne[2] * x.ne[3] != 1:
                    raise RuntimeError("an input that is no plain matrix of float32")
                data = np.frombuffer(ffi.buffer(x.data, x.ne[0] * x.ne[1] * 4), np.float32)
                seen(ffi.string(t.src[0].name).decode(), data.reshape(x.ne[1], x.ne[0]))
            return True

        self.watch = watch  # kept: the C side calls it
        super().__init__(path, cb_eval=ffi.cast("void *", watch), type_k=0, type_v=0, flash_attn_type=0, **options)


def gguf_tensors(path):
    """ggml's own reading of a GGUF file: how many keys, and (name, type, place in the file) of its tensors."""
    g = lib.gguf_init_from_file(str(path).encode(), {"no_alloc": True, "ctx": ffi.NULL})
    if g == ffi.NULL:
        raise RuntimeError(f"stock ggml does not read {path}")
    data = lib.gguf_get_data_offset(g)
    tensors = [(ffi.string(lib.gguf_get_tensor_name(g, i)).decode(), lib.gguf_get_tensor_type(g, i),
                data + lib.gguf_get_tensor_offset(g, i)) for i in range(lib.gguf_get_n_tensors(g))]
    keys = lib.gguf_get_n_kv(g)
    lib.gguf_free(g)
    return keys, tensors


def encode(ggml_type, weights, block_bytes, block_elems, importance=None):
    """ggml's own encoder: the blocks of float32 [rows, columns] as bytes."""
    rows, cols = weights.shape
    weights = np.ascontiguousarray(weights, np.float32)
    out = np.empty(rows * cols // block_elems * block_bytes, np.uint8)
    lib.ggml_quantize_init(ggml_type)
    column = ffi.NULL
    if importance is not None:
        importance = np.ascontiguousarray(importance, np.float32)
        column = ffi.cast("const float *", importance.ctypes.data)
    lib.ggml_quantize_chunk(ggml_type, ffi.cast("const float *", weights.ctypes.data),
                            ffi.cast("void *", out.ctypes.data), 0, rows, cols, column)
    return out
