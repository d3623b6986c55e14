# Evaluation: every part in table and JSON; what is wrong is one sentence.
. tests/cli/lib/tap.sh

"$quern" convert "$golden/llama" -o "$in/f16.gguf" --type F16 -q --no-table
"$quern" quantize "$golden/llama" -o "$in/q4.gguf" --type Q4_0 -q --no-table
"$quern" convert "$golden/qwen3" -o "$in/other.gguf" -q --no-table
head -c 1500 "$root/LICENSE" >"$in/text"

run eval "$in/q4.gguf" -f "$in/text" -c 64 --against "$in/f16.gguf" --layers --tensors
prints "perplexity" '^perplexity +[0-9.]+ +[0-9.]+$'
prints "KL divergence" '^KL divergence, mean +0\.[0-9]+ +[0-9.]+$'
prints "layers" '^ +1 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$'
prints "tensors" '^blk\.0\.attn_q\.weight +Q4_0 +quantized +[0-9.e-]+ +[0-9.e-]+ +[0-9.]+ +[0-9.e-]+ +0\.99'
prints "and all of them" '^all +[0-9.e-]+ +[0-9.e-]+ +[0-9.]+ '

run eval "$in/q4.gguf" -f "$in/text" -c 64 --against "$in/f16.gguf" --layers --tensors --json -q
ok "the same in JSON" python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["perplexity"]["value"] > 1 and r["kl_mean"]["value"] > r["kl_noise"]["value"] > 0
layers = r["layers"]
assert [l["layer"] for l in layers] == list(range(len(layers)))
assert all(a["leaving"] == b["entering"] for a, b in zip(layers, layers[1:]))
assert all(0 < l["entering"]["value"] < 1 for l in layers)
t = {t["name"]: t for t in r["tensors"]}["blk.0.attn_q.weight"]
assert abs(t["rmse"] ** 2 / t["mse"] - 1) < 1e-6 and 0.98 < t["cosine"] < 1 and t["snr_db"] > 15
' "$tmp/stdout"
run eval "$in/q4.gguf" --tensors --against "$golden/llama" --json -q
ok "tensors need no text, and a source may be a folder" python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert "perplexity" not in r and r["tensors"] and 0.9 < r["all_tensors"]["cosine"] < 1
' "$tmp/stdout"
refuses "tensors that have nothing in common" 1 'no tensor of the same name and shape' \
    eval "$in/q4.gguf" --tensors --against "$demo" -q
sed 's/blk\.1\.ffn_up/blk.1.ffn_ux/' "$in/q4.gguf" >"$in/renamed.gguf"
run eval "$in/renamed.gguf" --tensors --against "$golden/llama"
says "some that are not there are said" '^note: 2 of [0-9]+ tensors are not the source.s$'
run eval "$in/f16.gguf" --tensors --against "$in/f16.gguf"
prints "a file is its own source" '^all +0 +0 +exact +0 +1\.0+$'

run eval "$in/f16.gguf" -f "$in/text" -c 64 --save-base "$out/base" -q
is "a base file is written" "0 _logits_" "$status $(head -c 8 "$out/base")"
run eval "$in/q4.gguf" --base "$out/base"
prints "and compared with" '^KL divergence, mean +0\.[0-9]+ '
refuses "a base file is not overwritten" 2 "base: exists already" \
    eval "$in/f16.gguf" -f "$in/text" -c 64 --save-base "$out/base" -q

for file in f16.gguf q4.gguf text; do
    refuses "nor what is read, even with --force: $file" 2 "$file: is the source file" \
        eval "$in/f16.gguf" -f "$in/text" -c 64 --against "$in/q4.gguf" --save-base "$in/$file" --force -q
done

# Texts.
: >"$in/empty"
printf 'Permission is hereby granted\n' >"$in/short"
refuses "an empty text" 2 "empty: the text is empty" eval "$in/f16.gguf" -f "$in/empty"
refuses "a text shorter than a window says both numbers" 2 "short: the text has [0-9]+ tokens: a window takes 64" \
    eval "$in/f16.gguf" -f "$in/short" -c 64
{ cat "$in/text"; printf 'a\377\376b\303'; } >"$in/bytes"
run eval "$in/f16.gguf" -f "$in/bytes" -c 64 -q
prints "bytes that are no UTF-8 are a text" '^perplexity +[0-9.]+ '
{ printf 'a\000b'; cat "$in/text"; } >"$in/nul"
run eval "$in/f16.gguf" -f "$in/nul" -c 64 -q
prints "so is one with NUL" '^perplexity +[0-9.]+ '
printf '\n' >"$in/newline"
refuses "a text of nothing but a newline" 2 "newline: the text is empty" eval "$in/f16.gguf" -f "$in/newline"
refuses "no tokens" 2 "empty: the text has 0 tokens" eval "$in/f16.gguf" --tokens "$in/empty"
refuses "what is no token" 1 "short: byte 0 is 0x50: no token's number" eval "$in/f16.gguf" --tokens "$in/short"
refuses "an empty text to compare with" 2 "empty: the text is empty" \
    compare "$golden/llama" "$in/f16.gguf" -f "$in/empty" -q
refuses "a context of three tokens" 2 "a context of 3 tokens: it can be 4 to" eval "$in/f16.gguf" -f "$in/text" -c 3
refuses "a stride as long as the context" 2 "a stride of 64 tokens in a context of 64" \
    eval "$in/f16.gguf" -f "$in/text" -c 64 --stride 64
refuses "no text" 2 "a text is needed" eval "$in/f16.gguf"
refuses "two texts" 2 "one of -f, --tokens and --base" eval "$in/f16.gguf" -f "$in/text" --tokens "$in/text"
refuses "a text that is not there" 1 "none" eval "$in/f16.gguf" -f "$in/none" -q

# Models.
python3 - "$in/f16.gguf" "$in/missing.gguf" <<'END'
import sys
data = open(sys.argv[1], "rb").read()
name = b"blk.1.ffn_up.weight"
assert data.count(name) == 1
open(sys.argv[2], "wb").write(data.replace(name, b"blk.1.ffn_xx.weight"))
END
refuses "a tensor is missing" 1 "missing.gguf: tensor 'blk\.1\.ffn_(up|xx)\.weight'" \
    eval "$in/missing.gguf" -f "$in/text" -q
cp "$in/f16.gguf" "$in/misshapen.gguf"
alter transpose "$in/misshapen.gguf" blk.1.ffn_up.weight
for what in "eval $in/misshapen.gguf -f $in/text" "eval $in/f16.gguf -f $in/text --against $in/misshapen.gguf" \
    "run $in/misshapen.gguf -p x" "bench $in/misshapen.gguf"; do
    # shellcheck disable=SC2086 # words are wanted
    refuses "a tensor of another shape: ${what%% *}" 1 \
        "misshapen.gguf: tensor 'blk\.1\.ffn_up\.weight' is 64 x 128, the model's keys ask for 128 x 64" $what -q
done
model llama nan
alter value "$in/nan/model.safetensors" model.layers.1.mlp.up_proj.weight 7 nan
"$quern" convert "$in/nan" -o "$in/nan.gguf" --allow-nan -q --no-table
refuses "logits that are not finite" 1 "window 0: the logits of token 33 are not finite" \
    eval "$in/nan.gguf" -f "$in/text" -c 64 -q
refuses "a folder is to be converted first" 2 "llama: not a GGUF model; .quern convert. makes one" \
    eval "$in/q4.gguf" -f "$in/text" --against "$golden/llama" -q
refuses "other tokens" 2 "q4.gguf and .*other.gguf cannot be compared: token [0-9]+ is '.*' in one and '" \
    eval "$in/q4.gguf" -f "$in/text" -c 64 --against "$in/other.gguf" -q
"$quern" convert "$demo" -o "$in/demo.gguf" -q --no-table
refuses "fewer tokens" 2 "f16.gguf and .*demo.gguf cannot be compared: vocabularies of 400 and 4096 tokens" \
    eval "$in/f16.gguf" -f "$in/text" -c 64 --against "$in/demo.gguf" -q
refuses "more tokens" 2 "demo.gguf and .*f16.gguf cannot be compared: vocabularies of 4096 and 400 tokens" \
    eval "$in/demo.gguf" -f "$in/text" -c 64 --against "$in/f16.gguf" -q
refuses "layers of what" 2 "layers: a source to compare with is needed" \
    eval "$in/q4.gguf" -f "$in/text" --layers
refuses "tensors of what" 2 "tensors: a source to compare with is needed" eval "$in/q4.gguf" --tensors

# Base files.
head -c 5000 "$out/base" >"$in/cut"
refuses "a base file that is cut" 1 "cut: header: [0-9]+ windows of 64 tokens of 400 do not make a file of 5000 bytes" \
    eval "$in/q4.gguf" --base "$in/cut"
refuses "a file of another kind" 1 "f16.gguf: not a KL base file" eval "$in/q4.gguf" --base "$in/f16.gguf"
refuses "windows of another size" 2 "context 32: the windows of .*base have 64 tokens" \
    eval "$in/q4.gguf" --base "$out/base" -c 32
python3 - "$in/vocabulary" <<'END'
import struct, sys
row = struct.pack("<ff", 1e-4, -6.0) + bytes(2 * 300)
open(sys.argv[1], "wb").write(b"_logits_" + struct.pack("<3i", 8, 300, 1) + bytes(4 * 8) + 3 * row)
END
refuses "a base file of another vocabulary" 2 "a vocabulary of 300 tokens, the model's has 400" \
    eval "$in/q4.gguf" --base "$in/vocabulary" -q
refuses "windows that overlap" 2 "do not overlap" eval "$in/q4.gguf" --base "$out/base" --stride 16
refuses "two sources" 2 "no --against beside it" eval "$in/q4.gguf" --base "$out/base" --against "$in/f16.gguf"
finish
