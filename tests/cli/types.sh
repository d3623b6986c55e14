# Which tensor gets which type, and what is said of it.
. tests/cli/lib/tap.sh
model llama llama

type_of() { # FILE TENSOR
    "$quern" inspect "$1" --json | python3 -c '
import json, sys
print(next(t["type"] for t in json.load(sys.stdin)["tensors"] if t["name"] == sys.argv[1]))' "$2"
}

types_of() { # FILE: the types of its matrices
    "$quern" inspect "$1" --json | python3 -c '
import json, sys
print(*sorted({t["type"] for t in json.load(sys.stdin)["tensors"] if len(t["shape"]) > 1}))'
}

quantize() { # SOURCE [OPTION]...
    source=$1
    shift
    run quantize "$source" -o "$out/a.gguf" --force --no-table "$@"
}

quantize "$demo" --type Q4_K_M --tensor-type 'attn_v=Q6_K' --tensor-type 'ATTN_[vq]=Q5_1' \
    --output-type Q8_0 --embedding-type BF16
says "--tensor-type, --output-type and --embedding-type are taken" "^types: "
is "the first pattern that matches counts" Q6_K "$(type_of "$out/a.gguf" blk.0.attn_v.weight)"
is "in any case of letters" Q5_1 "$(type_of "$out/a.gguf" blk.1.attn_q.weight)"
is "the rest keeps the recipe" Q4_K "$(type_of "$out/a.gguf" blk.0.attn_k.weight)"
quantize "$in/llama" --type Q4_0 --output-type Q8_0 --embedding-type BF16
is "--output-type" Q8_0 "$(type_of "$out/a.gguf" output.weight)"
is "--embedding-type" BF16 "$(type_of "$out/a.gguf" token_embd.weight)"
quantize "$in/llama" --type Q4_0 --leave-output
is "--leave-output" F16 "$(type_of "$out/a.gguf" output.weight)"
quantize "$demo" --type Q4_K_M
is "a recipe mixes" "Q4_K Q6_K" "$(types_of "$out/a.gguf")"
quantize "$demo" --type Q4_K_M --pure
is "--pure does not" "Q4_K" "$(types_of "$out/a.gguf")"
for rules in stock stock-2025; do
    quantize "$demo" --type Q4_K_M --recipe $rules
    is "--recipe $rules" 0 $status
done
run quantize "$in/llama" "$out/a.gguf" q8_0 --force
is "llama-quantize's arguments: SOURCE OUT TYPE" "0 Q8_0" "$status $(types_of "$out/a.gguf")"
rm "$out/a.gguf"

wrong() { # WHAT REGEX [OPTION]...
    what=$1 regex=$2
    shift 2
    refuses "$what" 2 "$regex" quantize "$in/llama" -o "$out/a.gguf" -q "$@"
}

wrong "an unknown recipe, and the nearest" "'Q4_K_X', did you mean Q4_K_[MS].*there are F32 F16.*Q2_K" --type Q4_K_X
wrong "unknown rules" "'stok'.*stock.*stock-2025" --recipe stok
wrong "an unknown type, and the nearest" "ffn_down=Q6_L: no type 'Q6_L' to write, did you mean Q6_K" --tensor-type ffn_down=Q6_L
wrong "a pattern that is none" "'ffn_\(down=Q6_K': missing closing parenthesis at letter 10" --tensor-type 'ffn_(down=Q6_K'
wrong "a pattern without a type" "'ffn_down' is not REGEX=TYPE" --tensor-type ffn_down
wrong "a pattern that matches nothing" "'ffn_donw=Q8_0' matches no tensor" --tensor-type ffn_donw=Q8_0
wrong "an unknown type of the output" "the output: no type 'Q99'" --output-type Q99
wrong "an unknown type of the embedding" "the (token )?embedding: no type 'Q99'" --embedding-type Q99
wrong "--no-fallback: 64 columns are no blocks of 256" \
    "16 of 21 tensors \(99.7 % of the weights\) would fall back.*'output.weight': 64 columns .* Q6_K blocks of 256" --no-fallback

quantize "$in/llama" --type Q4_K_M
says "a fallback is counted by weights" "^fallback: 16 of 21 tensors, 99.7% of the weights"
is "before the work and after it" 2 "$(grep -c '^fallback: ' "$tmp/stderr")"
says "with the first tensor and its types" "'output.weight', 64 columns: Q8_0, not Q6_K"
is "K blocks fall back to blocks of 32" "Q5_0 Q8_0" "$(types_of "$out/a.gguf")"
ok "the file is its source's" "$quern" verify "$out/a.gguf" "$in/llama" -q
quantize "$in/llama" --type Q4_0 --output-type Q4_0 --no-fallback
is "no fallback is needed where blocks are of 32" "0 0" "$status $(grep -c '^fallback: ' "$tmp/stderr")"

mv "$out/a.gguf" "$in/small.gguf"
refuses "a quantized source is not quantized again" 2 \
    "small.gguf: [0-9]+ tensors are quantized already \('output.weight' is Q4_0\).*--allow-requantize" \
    quantize "$in/small.gguf" -o "$out/a.gguf" --type Q8_0 -q
run quantize "$in/small.gguf" -o "$out/a.gguf" --type Q8_0 -q --allow-requantize
is "but with --allow-requantize" "0 Q8_0" "$status $(types_of "$out/a.gguf")"
ok "convert copies a quantized GGUF" "$quern" convert "$in/small.gguf" -o "$out/copy.gguf" -q
ok "byte for byte" cmp "$in/small.gguf" "$out/copy.gguf"
run quantize "$out/copy.gguf" -o "$out/a.gguf" --type Q4_0 --output-type Q4_0 -q --force
is "and so does quantize, to the same types" 0 $status
ok "byte for byte" cmp "$in/small.gguf" "$out/a.gguf"
finish
