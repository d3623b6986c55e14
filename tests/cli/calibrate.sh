# Calibration: what it says, what it refuses; the same bytes for any threads, and after SIGKILL.
. tests/cli/lib/tap.sh
. tests/cli/lib/calibrate.sh

calibrate a.h5 --chunks 4
says "the source is said" '^source: .*demo \(safetensors, llama\), 6 layers$'
says "the text" '^text:   .*text: [0-9]+ tokens; 4 windows of 128, [0-9]+ tokens not used$'
says "memory is stated before" '^memory: [0-9.]+ MiB beside the model, [0-9.]+ MiB of it for the sums of two inputs; '
prints "coverage" '^ *blk\.0\.attn_in +attn_q, attn_k, attn_v +256 +512 +[0-9.]+ +- +-$'
prints "few tokens for many columns are noted" '^note: 6 inputs saw fewer tokens than they have columns .*blk\.0\.ffn_mid'
is "nothing but the file is left" a.h5 "$(ls "$out")"
run inspect "$out/a.h5"
prints "inspect shows it" '^ *output_in +token_embd +256 +512 '
run inspect "$out/a.h5" --json
ok "as JSON, too" python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["kind"] == "hessian" and r["tokens"] == 512 and len(r["inputs"]) == 25 and r["texts"][0]["name"] == "text"
assert all(i["dead_columns"] == 0 and i["most_tokens"] == 512 for i in r["inputs"])' "$tmp/stdout"

for threads in 1 5; do
    calibrate "$threads.h5" --chunks 4 --threads $threads -q
    ok "$threads threads: the same bytes" cmp "$out/a.h5" "$out/$threads.h5"
done
"$quern" convert "$in/demo" -o "$in/demo.gguf" -q
run calibrate "$in/demo.gguf" -f "$in/text" -o "$out/gguf.h5" -c 128 --chunks 4 -q
ok "a GGUF of it has the same sums" python3 - "$out/a.h5" "$out/gguf.h5" <<'END'
import sys
a, b = (open(p, "rb").read() for p in sys.argv[1:])
i = a.index(b"blk.0.attn_in")
assert len(a) == len(b) and sum(x != y for x, y in zip(a, b)) <= 64  # the source's hash
END

# Killed ten times, after a little longer each time: it always goes on, and ends with the same bytes.
calibrate whole.h5 --chunks 24 --threads 1 -q
kills=0
for pause in 0.05 0.1 0.2 0.3 0.4 0.5 0.7 0.9 1.2 1.5; do
    "$quern" calibrate "$in/demo" -f "$in/text" -o "$out/killed.h5" -c 128 --chunks 24 --threads 1 -q >/dev/null 2>&1 &
    pid=$!
    sleep $pause
    [ -e "$out/killed.h5" ] || kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
    [ ! -e "$out/killed.h5" ] || break
done
[ $kills -gt 1 ]
result $? "killed more than once: $kills times"
if [ ! -e "$out/killed.h5" ]; then
    calibrate killed.h5 --chunks 24
    says "it says what it found" '^found:  [0-9]+ of 13 half layers were done by an earlier run$'
fi
ok "killed and begun again: the same bytes" cmp "$out/whole.h5" "$out/killed.h5"
is "and nothing else is left" "" "$(ls "$out" | grep -E 'work|tmp|source')"

"$quern" calibrate "$in/demo" -f "$in/text" -o "$out/other.h5" -c 128 --chunks 24 -q >/dev/null 2>&1 &
pid=$!
sleep 0.5
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
calibrate other.h5 --chunks 4 --force
says "what another run left is not taken for its own" '^done:   512 tokens'
ok "nor does it show" cmp "$out/a.h5" "$out/other.h5"

cp "$in/text" "$in/twin"
tr 'a-z' '\200-\231' <"$in/text" | head -c 3000 >"$in/noise"
python3 -c 'print("The same again and again. " * 300)' >"$in/repeats"
run calibrate "$in/demo" -f "$in/text" -f "$in/twin" -f "$in/repeats" -o "$out/b.h5" -c 64 --importance-only
says "a text that is there twice" '^note:   .*twin has the same bytes as .*text: it counts twice$'
says "repeated windows" '^note:   [0-9]+ of [0-9]+ windows were there before, and count again$'
cat "$in/text" "$in/noise" >"$in/mixed"
run calibrate "$in/demo" -f "$in/mixed" -o "$out/c.h5" -c 64 --importance-only
says "a text with strange parts" '^note:   .*mixed: [0-9]+ of [0-9]+ tokens are unknown to the model or parts of characters'
rm -r "$out" && mkdir "$out"

: >"$in/empty"
echo "A few words." >"$in/short"
wrong() { # WHAT STATUS REGEX ARGUMENT...
    what=$1 code=$2 regex=$3
    shift 3
    refuses "$what" "$code" "$regex" calibrate "$@" -q
}
wrong "an empty text" 1 'empty: the text is empty$' "$in/demo" -f "$in/empty" -o "$out/a.h5"
wrong "a text shorter than a window" 1 'short: the text has [0-9]+ tokens, and a window takes 512$' \
    "$in/demo" -f "$in/short" -o "$out/a.h5"
wrong "the second of two texts" 1 'short: the text has' "$in/demo" -f "$in/text" -f "$in/short" -o "$out/a.h5"
wrong "a text in no language" 1 'noise: [0-9]+ of its [0-9]+ tokens are unknown' "$in/demo" -f "$in/noise" -o "$out/a.h5" -c 64
wrong "no text" 2 'a text is needed' "$in/demo" -o "$out/a.h5"
wrong "a text that is not there" 1 'nowhere: cannot open' "$in/demo" -f "$in/nowhere" -o "$out/a.h5"
wrong "no output" 2 '-o OUT.h5 is needed' "$in/demo" -f "$in/text"
wrong "a context of nothing" 2 'a context of 2 tokens' "$in/demo" -f "$in/text" -o "$out/a.h5" -c 2
wrong "a model that is not there" 1 'nowhere: ' "$in/nowhere" -f "$in/text" -o "$out/a.h5"
wrong "its own source" 2 'demo.gguf: ' "$in/demo.gguf" -f "$in/text" -o "$in/demo.gguf" --force -c 128
wrong "a folder's file" 2 'model.safetensors: ' "$in/demo" -f "$in/text" -o "$in/demo/model.safetensors" --force -c 128
wrong "its own text" 2 'text: is the source file' "$in/demo" -f "$in/text" -o "$in/text" --force -c 128
wrong "its own text, as an importance matrix" 2 'text: is the source file' \
    "$in/demo" -f "$in/text" -o "$out/a.h5" --imatrix "$in/text" --force -c 128
wrong "the file that it runs through" 2 'demo.gguf: is the source file' \
    "$in/demo" -f "$in/text" -o "$in/demo.gguf" --through "$in/demo.gguf" --force -c 128
wrong "merging texts" 1 'text: is no HDF5 file' --merge "$in/text" -o "$out/a.h5"
wrong "merging with a text" 2 'merge takes files' --merge "$in/text" -f "$in/text" -o "$out/a.h5"
finish
