"""A Llama in float64 numpy, layer by layer, and what its linears are fed: for the tests of calibration.

Weights come from a GGUF through the package gguf, which also dequantizes them.
"""
import gguf
import numpy as np


class Llama:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        field = lambda key: reader.fields[key].contents()
        self.weight = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.layers = int(field("llama.block_count"))
        self.heads = int(field("llama.attention.head_count"))
        self.kv_heads = int(field("llama.attention.head_count_kv"))
        self.eps = float(field("llama.attention.layer_norm_rms_epsilon"))
        self.base = float(field("llama.rope.freq_base"))

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.weight[name]

    def linear(self, x, name):
        y = x @ self.weight[name + ".weight"].T
        return y + self.weight[name + ".bias"] if name + ".bias" in self.weight else y

    def rope(self, x):
        """(tokens, heads, dims): neighbours turn together, as in a GGUF."""
        tokens, _, dims = x.shape
        angle = np.outer(np.arange(tokens), self.base ** (-np.arange(0, dims, 2) / dims))[:, None, :]
        a, b = x[..., 0::2], x[..., 1::2]
        turned = np.empty_like(x)
        turned[..., 0::2] = a * np.cos(angle) - b * np.sin(angle)
        turned[..., 1::2] = a * np.sin(angle) + b * np.cos(angle)
        return turned

    def inputs(self, ids):
        """{"blk.0.attn_in": tokens x columns, ...} of one window."""
        seen = {}
        x = self.weight["token_embd.weight"][ids]
        tokens = len(ids)
        for layer in range(self.layers):
            blk = f"blk.{layer}."
            seen[blk + "attn_in"] = h = self.norm(x, blk + "attn_norm.weight")
            q = self.rope(self.linear(h, blk + "attn_q").reshape(tokens, self.heads, -1))
            k = self.rope(self.linear(h, blk + "attn_k").reshape(tokens, self.kv_heads, -1))
            v = self.linear(h, blk + "attn_v").reshape(tokens, self.kv_heads, -1)
            shared = self.heads // self.kv_heads
            k, v = np.repeat(k, shared, 1), np.repeat(v, shared, 1)
            score = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(q.shape[-1])
            score[:, np.triu(np.ones((tokens, tokens), bool), 1)] = -np.inf
            p = np.exp(score - score.max(-1, keepdims=True))
            p /= p.sum(-1, keepdims=True)
            seen[blk + "attn_out"] = mixed = np.einsum("hqk,khd->qhd", p, v).reshape(tokens, -1)
            x = x + self.linear(mixed, blk + "attn_output")
            seen[blk + "ffn_in"] = h = self.norm(x, blk + "ffn_norm.weight")
            gate, up = self.linear(h, blk + "ffn_gate"), self.linear(h, blk + "ffn_up")
            seen[blk + "ffn_mid"] = mid = gate / (1 + np.exp(-gate)) * up
            x = x + self.linear(mid, blk + "ffn_down")
        seen["output_in"] = self.norm(x, "output_norm.weight")
        return seen
