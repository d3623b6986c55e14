"""Stock llama.cpp running a GGUF on the CPU, from the PyPI package llama-cpp-python."""
import ctypes

import llama_cpp
import numpy as np


@llama_cpp.llama_log_callback
def silent(*_):
    pass


llama_cpp.llama_log_set(silent, None)
llama_cpp.llama_backend_init()


class Model:
    """One sequence at a time, from an empty cache."""

    def __init__(self, path, context, threads, callback=None):
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise SystemExit(f"stock llama.cpp does not load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context
        params.n_threads = params.n_threads_batch = threads
        if callback:
            params.cb_eval = callback
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.size = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def windows(self, text, context, most=None):
        """As llama-perplexity cuts a text: [(what the model sees, the text's own tokens)]."""
        room = len(text) + 16
        ids = (llama_cpp.llama_token * room)()
        n = llama_cpp.llama_tokenize(self.vocab, text, len(text), ids, room, True, False)
        found = []
        for at in range(0, n - context + 1, context):
            own = list(ids[at : at + context])
            seen = own[:]
            if llama_cpp.llama_vocab_get_add_bos(self.vocab):
                seen[0] = llama_cpp.llama_vocab_bos(self.vocab)
            found.append((seen, own))
        return found[:most]

    def logits(self, ids, first):
        """float32 [len(ids) - first, vocabulary]: what follows on each token from `first` on."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i] = token
            batch.pos[i] = i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= first
        status = llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_batch_free(batch)
        if status != 0:
            raise SystemExit(f"llama_decode returns {status}")
        n = (len(ids) - first) * self.size
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits(self.context), (n,)).reshape(-1, self.size)
