# quern bench: what it counts, and what it refuses.
. tests/cli/lib/tap.sh

"$quern" quantize "$golden/llama" -o "$in/llama.gguf" --type Q8_0 -q >/dev/null
"$quern" inspect "$in/llama.gguf" --json >"$tmp/inspect"
run bench "$in/llama.gguf"
prints "a table of passes" '^generation +16 +1 +512 '
prints "the machine's rates" 'reads [0-9.]+ GB/s and multiplies [0-9.]+ GFLOP/s'
run bench "$in/llama.gguf" --json -q --cache-type F32
cp "$tmp/stdout" "$tmp/bench"
cat >"$tmp/check.py" <<'E2'
import json, math, sys
bench, inspect = (json.load(open(f)) for f in sys.argv[1:3])
matrices = {t["name"]: t for t in inspect["tensors"] if len(t["shape"]) == 2}
weights = sum(t["bytes"] for n, t in matrices.items() if n != "token_embd.weight" or "output.weight" not in matrices)
keys = inspect["metadata"]
layers, heads = keys["llama.block_count"], keys["llama.attention.head_count_kv"]
head = keys["llama.embedding_length"] // keys["llama.attention.head_count"]
for p in bench["passes"]:
    rows = p["sequences"] * layers * heads * (p["context"] + p["tokens"] / 2)
    assert p["bytes"] == weights + rows * (head + (head + 31) // 32 * 32) * 4, (p, weights)  # values lie in panels
    seconds = p["sequences"] * p["tokens"] / p["tokens_per_second"]
    share = 100 * p["bytes"] / seconds / p["read_bytes_per_second"]
    assert math.isclose(share, p["read_percent"], rel_tol=1e-6), (p, share)
    assert p["multiply_percent"] > 0
assert {p["work"] for p in bench["passes"]} == {"prompt", "generation"}
E2
ok "bytes are those of all matrices and the cache; shares follow from them" \
    python3 "$tmp/check.py" "$tmp/bench" "$tmp/inspect"
at_terminal() { # TERM: how often a line is drawn anew
    TERM=$1 python3 -c '
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
try:
    while data := os.read(terminal, 65536):
        seen += data
except OSError:  # the end of it, on Linux
    pass
os.waitpid(child, 0)
print(seen.count(b"\033[K"))' "$quern" bench "$in/llama.gguf" -t 1
}
[ "$(at_terminal xterm)" -gt 0 ]
result $? "a terminal has a bar"
is "a dumb one has not" 0 "$(at_terminal dumb)"
run bench "$in/llama.gguf" --exact -t 1
says "exact products" 'exact f32, cache in F16, 1 thread$'

run bench --codecs q4_k IQ2_XXS F32
prints "codecs: a type that is written" '^Q4_K +[0-9]+ +[0-9.]+ +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9]+$'
prints "and one that is only read" '^IQ2_XXS +- +- +- +[0-9]+ +[0-9.]+ +[0-9]+$'
says "kernels and threads are said" '^[a-z0-9]+, [0-9]+ threads?'
run bench --codecs Q4_K iq3_s --json -q -t 1
ok "bytes are four and the type's; shares follow from them" python3 -c '
import json, math, sys
bench = json.load(open(sys.argv[1]))
assert bench["threads"] == 1 and [t["name"] for t in bench["types"]] == ["Q4_K", "IQ3_S"]
assert bench["types"][0]["bytes_per_weight"] == 4 + 4.5 / 8 and bench["types"][1]["encode"] is None
for t in bench["types"]:
    for way in filter(None, (t["encode"], t["decode"])):
        assert math.isclose(way["bytes_per_second"], way["weights_per_second"] * t["bytes_per_weight"], rel_tol=1e-6)
        assert math.isclose(way["read_percent"], 100 * way["bytes_per_second"] / bench["read_bytes_per_second"], rel_tol=1e-6)
' "$tmp/stdout"
refuses "a type that is none" 2 "no type is called 'Q9'" bench --codecs Q9
refuses "codecs of a model" 2 "no type is called '.*llama.gguf'" bench "$in/llama.gguf" --codecs
refuses "products where no model runs" 2 'codecs: no model runs, --exact' bench --codecs --exact
refuses "two models" 2 'one argument too many' bench "$in/llama.gguf" "$in/llama.gguf"
refuses "a folder" 2 'not a GGUF' bench "$golden/llama"
refuses "a cache of another type" 2 'F16, F32 or Q8_0' bench "$in/llama.gguf" --cache-type Q4_0 -q
finish
