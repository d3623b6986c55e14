# Quantizing by what calibration found: methods, budgets, recipes on file, and what is refused.
. tests/cli/lib/tap.sh
text=$root/examples/calibration.txt
head -c 10000 "$root/examples/evaluation.txt" >"$in/check.txt"
head -c 8000 "$text" >"$in/probe.txt"
ok "calibrate" "$quern" calibrate "$demo" -f "$text" -o "$in/calib.h5" --chunks 8 -q
ok "calibrate another model" "$quern" calibrate "$golden/llama" -f "$root/LICENSE" -o "$in/other.h5" -c 64 --chunks 8 -q
ok "importance alone" "$quern" calibrate "$demo" -f "$text" -o "$in/importance.h5" --chunks 2 --importance-only -q

# kl OPTION...: of the file that they give, to six places; the file is $out/kl.gguf
kl() {
    "$quern" quantize "$demo" -o "$out/kl.gguf" "$@" --check "$in/check.txt" --json -q --force |
        python3 -c 'import json, sys; print("%.6f" % json.load(sys.stdin)["check"]["kl_mean"])'
}
below() { # WHAT A B FACTOR: A < FACTOR * B
    awk "BEGIN { exit !($2 < $4 * $3) }"
    result $? "$1: $2 and $3"
}

plain=$(kl --type Q3_K_M)
size=$(wc -c <"$out/kl.gguf")
rtn=$(kl --type Q3_K_M --calib "$in/calib.h5" --method rtn)
gptq=$(kl --type Q3_K_M --calib "$in/calib.h5" --quality fast --method gptq)
awq=$(kl --type Q3_K_M --calib "$in/calib.h5" --method awq)
fine=$(kl --type Q6_K --calib "$in/calib.h5" --quality fast --method gptq)
both=$(kl --type Q6_K --calib "$in/calib.h5" --quality fast)
below "importance is better than none" "$rtn" "$plain" 1
below "gptq is better than importance" "$gptq" "$rtn" 0.9
below "awq is better than none" "$awq" "$plain" 1
below "both together spare the inputs, too" "$both" "$fine" 0.95
like=$(kl --like Q3_K_M --calib "$in/calib.h5" --quality fast --probe "$in/probe.txt" --sensitivity "$out/cost.json" --recipe-out "$out/types.txt")
below "types of its own choice are better than the mixture" "$like" "$gptq" 0.95
[ "$(wc -c <"$out/kl.gguf")" -le "$size" ]
result $? "in no more bytes"

ok "the recipe makes the same types" "$quern" quantize "$demo" -o "$out/again.gguf" --type Q3_K_M --recipe "$out/types.txt" \
    --calib "$in/calib.h5" --quality fast -t 1 -q
ok "and the same bytes" cmp "$out/kl.gguf" "$out/again.gguf"
ok "a target size" "$quern" quantize "$demo" -o "$out/size.gguf" --target-size 3MB --calib "$in/calib.h5" --quality fast \
    --probe "$in/probe.txt" --sensitivity "$out/cost.json" -q
size=$(wc -c <"$out/size.gguf")
[ "$size" -le 3000000 ] && [ "$size" -gt 2950000 ]
result $? "is kept and used: $size"
bits=$("$quern" quantize "$demo" --target-bpw 4 --calib "$in/calib.h5" --quality fast --probe "$in/probe.txt" --sensitivity "$out/cost.json" \
    --dry-run --json -q | python3 -c 'import json, sys; print(json.load(sys.stdin)["total"]["bits_per_weight"])')
awk "BEGIN { exit !($bits <= 4 && $bits > 3.95) }"
result $? "4 bits a weight: $bits"

head -c 20000 "$text" >"$in/short.txt"
ok "a text calibrates on the fly" "$quern" quantize "$demo" -o "$out/fly.gguf" --calib "$in/short.txt" --quality fast -q
[ ! -e "$out/fly.gguf.calib.h5" ] && [ ! -e "$out/fly.gguf.resume" ] && [ ! -e "$out/fly.gguf.source.gguf" ]
result $? "and nothing is left of that"
"$quern" inspect "$out/fly.gguf" 2>/dev/null | grep -q 'quern.calibration.method'
result $? "the file says how it was calibrated"

mv "$out/cost.json" "$in/cost.json"
rm -f "$out"/*
refuses "the calibration of another model" 1 "of another model" quantize "$demo" -o "$out/a.gguf" --calib "$in/other.h5"
head -c 20000 "$in/calib.h5" >"$in/cut.h5"
refuses "a calibration that is cut off" 1 "cut.h5: .*truncated" quantize "$demo" -o "$out/a.gguf" --calib "$in/cut.h5"
refuses "Hessians that are not there" 2 "has importance alone" quantize "$demo" -o "$out/a.gguf" --calib "$in/importance.h5"
refuses "gptq without calibration" 2 "needs --calib" quantize "$demo" -o "$out/a.gguf" --method gptq
refuses "a method that there is not" 2 "there are rtn, gptq, awq and awq" quantize "$demo" -o "$out/a.gguf" --method best
refuses "a budget without a text to measure on" 2 "probe TEXT is needed" quantize "$demo" -o "$out/a.gguf" --like Q4_K_M --calib "$in/calib.h5"
refuses "two budgets" 2 "one of them is enough" quantize "$demo" -o "$out/a.gguf" --like Q4_K_M --target-bpw 4 --calib "$in/calib.h5"
refuses "an unknown type to choose from" 2 "no type" quantize "$demo" -o "$out/a.gguf" --like Q4_K_M --types Q4_K,Q4_X --calib "$in/calib.h5" --probe "$in/probe.txt"
refuses "a text that is not there" 1 "none.txt" quantize "$demo" -o "$out/a.gguf" --calib "$in/none.txt"
head -c 300 "$text" >"$in/few.txt"
refuses "a text shorter than a window" 1 "window" quantize "$demo" -o "$out/a.gguf" --calib "$in/few.txt"
refuses "a size below the smallest possible" 2 "the smallest possible file has [0-9]*" quantize "$demo" -o "$out/a.gguf" --target-size 1MB --calib "$in/calib.h5" --quality fast -q --probe "$in/probe.txt" --sensitivity "$in/cost.json"
ok "and that size is possible" "$quern" quantize "$demo" -o "$out/small.gguf" --target-size "$(sed 's/.* has \([0-9]*\) .*/\1/' "$tmp/stderr")" \
    --calib "$in/calib.h5" --quality fast -q --probe "$in/probe.txt" --sensitivity "$in/cost.json"
rm -f "$out"/*
run quantize "$demo" -o "$out/a.gguf" --target-size 1MB --calib "$in/calib.h5" --probe "$in/probe.txt"
[ "$status" -eq 2 ] && ! grep -q 'what each matrix costs' "$tmp/stderr"
result $? "and that is said before anything is measured"
refuses "and before a text is calibrated on" 2 "the smallest possible file has at least" \
    quantize "$demo" -o "$out/a.gguf" --target-size 1MB --calib "$text"
refuses "so is a mixture's, of types that are all larger" 2 "the smallest possible file has" \
    quantize "$demo" -o "$out/a.gguf" --like Q3_K_M --types Q6_K,Q8_0 --calib "$in/calib.h5" --probe "$in/probe.txt" -q
printf 'blk.0.attn_q.weight=Q4_K\nblk.9.attn_q.weight=Q4_K\n' >"$in/types.txt"
refuses "a recipe for a tensor that is not there" 1 "line 2: the model has no tensor 'blk.9.attn_q.weight'" \
    quantize "$demo" -o "$out/a.gguf" --recipe "$in/types.txt"
printf 'blk.0.attn_q.weight Q4_K\n' >"$in/types.txt"
refuses "a line that is no recipe" 1 "line 1: is not NAME=TYPE" quantize "$demo" -o "$out/a.gguf" --recipe "$in/types.txt"
finish
