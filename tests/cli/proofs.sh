# verify, compare, split and merge.
. tests/cli/lib/tap.sh
model llama llama
last=blk.1.ffn_up.weight # its data ends the file
"$quern" convert "$in/llama" -o "$in/f16.gguf" -q
"$quern" quantize "$in/llama" -o "$in/q4.gguf" --type Q4_K_M -q

run verify "$in/f16.gguf" "$in/llama"
says "a copy is exact" "^verify: .*f16.gguf: 21 exact$"
run verify "$in/q4.gguf" "$in/llama"
says "a quantized file is counted" "^verify: .*q4.gguf: 5 exact, 16 quantized$"
prints "with the error of every tensor" "^ *$last +Q5_0 +quantized +0\.0"
run convert "$in/llama" -o "$out/bf16.gguf" --type BF16 --verify
says "--verify proves while it is made" "^verify: .*bf16.gguf: 5 exact, 16 rounded$"
rm "$out/bf16.gguf"

cp "$in/f16.gguf" "$in/bad.gguf"
alter flip "$in/bad.gguf" -1
refuses "a changed byte is found" 1 "bad.gguf: tensor '$last': 1 of 8192 values differ .* row 127, column 63" \
    verify "$in/bad.gguf" "$in/llama" -q
cp "$in/f16.gguf" "$in/bad.gguf"
alter flip "$in/bad.gguf" $(($(wc -c <"$in/f16.gguf") - 8192 * 2 + 64 * 2 + 6))
refuses "with its row and column" 1 "tensor '$last': 1 of 8192 values differ .* row 1, column 3" \
    verify "$in/bad.gguf" "$in/llama" -q
run verify "$in/bad.gguf" "$in/llama" --json
is "--json says so, too" "1 ['$last']" "$status $(python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["good"] is False
print([t["name"] for t in r["tensors"] if t["different"]])' <"$tmp/stdout")"
refuses "compare finds it" 1 "bad.gguf: tensor '$last' is not the source's" compare "$in/llama" "$in/f16.gguf" "$in/bad.gguf"

refuses "a quantized file of another model" 1 "q4.gguf: tensor '[a-z0-9_.]+' .*is not the source's" \
    verify "$in/q4.gguf" "$golden/mistral" -q
refuses "a file of another architecture" 1 "q4.gguf: tensor '[a-z0-9_.]+'" verify "$in/q4.gguf" "$golden/qwen2" -q
refuses "arguments the wrong way round" 2 "llama: is safetensors, not the GGUF" verify "$in/llama" "$in/q4.gguf" -q
refuses "compare with what is no GGUF" 2 "llama: is safetensors, not the GGUF" compare "$in/q4.gguf" "$in/llama" -q

run compare "$in/llama" "$in/f16.gguf" "$in/q4.gguf"
prints "compare: a row a file" "f16.gguf +[0-9]+ KiB +16\.[0-9]+ +0 +exact"
prints "with its worst tensor" "q4.gguf +109 KiB +6\.426 .* blk\.0\.[a-z_]+\.weight +27\.[0-9]+"

run split "$in/f16.gguf" -o "$out/part" --max-tensors 6
says "split: how many, and the first" "f16.gguf: 4 files, .*part-00001-of-00004.gguf is the first"
is "they are there" 4 "$(find "$out" -name 'part-0000?-of-00004.gguf' | wc -l)"
ok "the set is the source's" "$quern" verify "$out/part-00001-of-00004.gguf" "$in/llama" -q
run merge "$out/part-00003-of-00004.gguf" -o "$out/whole.gguf"
says "merge takes any of them" "whole.gguf: 21 tensors from 4 files"
ok "split and merge give the same bytes" cmp "$in/f16.gguf" "$out/whole.gguf"
ok "split by size" "$quern" split "$in/q4.gguf" -o "$out/q4.gguf" --max-size 20KiB -q
set -- "$out"/q4-00001-of-*.gguf
ok "the prefix may end in .gguf; merge" "$quern" merge "$1" -o "$out/q4.gguf" -q
ok "the same bytes" cmp "$in/q4.gguf" "$out/q4.gguf"
rm -r "$out" && mkdir "$out"

"$quern" split "$in/f16.gguf" -o "$in/part" --max-tensors 6 -q
rm "$in/part-00003-of-00004.gguf"
refuses "a file of the set is missing" 1 "part-00003-of-00004.gguf" merge "$in/part-00001-of-00004.gguf" -o "$out/a.gguf" -q
refuses "split without a limit" 2 "max-size SIZE or --max-tensors N" split "$in/f16.gguf" -o "$out/a" -q
refuses "split of a folder" 2 "llama: is safetensors; only GGUF files are split" split "$in/llama" -o "$out/a" --max-size 1M -q
refuses "merge of a folder" 2 "llama: is safetensors; only GGUF files are merged" merge "$in/llama" -o "$out/a.gguf" -q
echo here >"$out/a-00002-of-00004.gguf"
refuses "split over a file that is there" 2 "a-00002-of-00004.gguf: exists already" split "$in/f16.gguf" -o "$out/a" --max-tensors 6 -q
finish
