# Quantizing on the quantized prefix's activations: what is said, what is refused; the same bytes for any
# threads, after SIGKILL, and where what a killed run left is lost in part.
. tests/cli/lib/tap.sh
text=$root/LICENSE
"$quern" convert "$golden/qwen2" -o "$in/small.gguf" -q
sequential() { # OUT ARGUMENT...
    to=$1
    shift
    run quantize "$in/small.gguf" -o "$out/$to" --type Q4_0 --method gptq --sequential --quality fast "$@"
}

sequential a.gguf --calib "$text" --no-table
says "text and stages" '^text:   .*LICENSE: [0-9]+ tokens in [0-9]+ windows, .* 15 tensors in 9 stages$'
says "the embedding is last" 'tokens are looked up in the source'
says "memory is stated before" '^memory: [0-9.]+ MiB beside the model, [0-9.]+ [KM]iB of it for the sums of an input; '
is "nothing but the file is left" a.gguf "$(ls "$out")"
for threads in 1 5; do
    sequential "$threads.gguf" --calib "$text" --threads $threads -q
    ok "$threads threads: the same bytes" cmp "$out/a.gguf" "$out/$threads.gguf"
done
run quantize "$golden/qwen2" -o "$out/folder.gguf" --type Q4_0 --method gptq --sequential --quality fast --calib "$text" -q
ok "of a folder: the same bytes" cmp "$out/a.gguf" "$out/folder.gguf"
ok "calibrate" "$quern" calibrate "$in/small.gguf" -f "$text" -o "$in/calib.h5" -q
sequential both.gguf --calib "$in/calib.h5" --probe "$text" -q
ok "a calib.h5 without gradients changes nothing" cmp "$out/a.gguf" "$out/both.gguf"
ok "calibrate with gradients" "$quern" calibrate "$in/small.gguf" -f "$text" -o "$in/gradients.h5" --gradients --gradient-chunks 2 -q
sequential gradients.gguf --calib "$in/gradients.h5" --probe "$text" --check "$text" --json
prints "the report has the method" '"method": "gptq, fast, sequential"'
prints "and the check" '"kl_mean"'
! cmp -s "$out/a.gguf" "$out/gradients.gguf"
result $? "gradients change the file"
run quantize "$in/small.gguf" -o "$out/ordinary.gguf" --type Q4_0 --method gptq --calib "$text" --quality fast -q
! cmp -s "$out/a.gguf" "$out/ordinary.gguf" && [ "$(wc -c <"$out/a.gguf")" -eq "$(wc -c <"$out/ordinary.gguf")" ]
result $? "an ordinary file has other bytes, as many"
sequential like.gguf --like Q4_0 --calib "$text" --types Q4_0,Q5_0,Q8_0 --recipe-out "$out/types.txt" -q
sequential types.gguf --recipe "$out/types.txt" --calib "$text" -q
ok "types by budget, then in sequence" cmp "$out/like.gguf" "$out/types.gguf"
for threads in 1 5; do
    sequential "awq$threads.gguf" --calib "$text" --method awq+gptq --threads $threads -q
done
ok "awq+gptq: the same bytes for any threads" cmp "$out/awq1.gguf" "$out/awq5.gguf"
sequential awq.gguf --calib "$in/calib.h5" --probe "$text" --method awq+gptq -q
ok "and for a calib.h5 of the same text" cmp "$out/awq1.gguf" "$out/awq.gguf"
rm "$out"/*

# Killed at random points, it goes on; now and then a part of what it left is gone, too.
head -c 7000 "$root/examples/calibration.txt" >"$in/text"
set -- quantize "$demo" --type Q3_K_M --method gptq --sequential --quality fast --calib "$in/text"
ok "in one go" "$quern" "$@" -o "$out/a.gguf" -q
kills=0
for pause in $(python3 -c 'import random; print(*["%.2f" % random.uniform(0.1, 1) for _ in range(10)])'); do
    "$quern" "$@" -o "$out/b.gguf" -t 1 -q >/dev/null 2>&1 &
    pid=$!
    sleep "$pause"
    [ -e "$out/b.gguf" ] || kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
    [ ! -e "$out/b.gguf" ] || break
    [ $kills -ne 4 ] || rm -rf "$out/b.gguf.work"
    [ $kills -ne 6 ] || rm -f "$out/b.gguf.resume"
done
echo "# killed $kills times"
if [ ! -e "$out/b.gguf" ]; then
    journal=$(wc -c <"$out/b.gguf.resume" 2>/dev/null || echo 0)
    run "$@" -o "$out/b.gguf" --no-table
    says "the last run ends the work" '^text:'
    [ "$journal" -lt 100 ] || says "and says what it found" '^resume: [0-9]+ of 56 tensors are there'
fi
ok "killed and begun again: the same bytes" cmp "$out/a.gguf" "$out/b.gguf"
is "and nothing else is left" "a.gguf b.gguf" "$(cd "$out" && echo *)"

rm "$out/b.gguf"
"$quern" "$@" -o "$out/b.gguf" --type Q2_K -q >/dev/null 2>&1 &
pid=$!
sleep 1
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
ok "another run's leavings" "$quern" "$@" -o "$out/b.gguf" --force -q
ok "are not taken for its own" cmp "$out/a.gguf" "$out/b.gguf"
rm "$out"/*

head -c 300 "$root/LICENSE" >"$in/short"
ok "calibrate another model" "$quern" calibrate "$golden/llama" -f "$root/LICENSE" -o "$in/other.h5" -c 64 --chunks 8 -q
wrong() { # WHAT STATUS REGEX ARGUMENT...
    what=$1 code=$2 regex=$3
    shift 3
    refuses "$what" "$code" "$regex" quantize "$in/small.gguf" -o "$out/a.gguf" --sequential -q "$@"
}
wrong "no text" 2 'sequential needs --calib'
wrong "a calib.h5 without its text" 2 'probe TEXT is needed$' --calib "$in/calib.h5"
wrong "a text shorter than a window" 1 'short: the text has [0-9]+ tokens, and a window takes 512$' --calib "$in/short"
wrong "such a text beside a calib.h5" 1 'short: the text has' --calib "$in/calib.h5" --probe "$in/short"
wrong "a text that is not there" 1 'nowhere: ' --calib "$in/nowhere"
wrong "the calibration of another model" 1 'of another model' --calib "$in/other.h5" --probe "$text"
wrong "awq alone" 2 'goes with --method gptq or awq\+gptq, not awq$' --calib "$text" --method awq
wrong "rtn" 2 'goes with --method gptq or awq\+gptq, not rtn' --calib "$text" --method rtn
wrong "an importance matrix as well" 2 'one of them is enough' --calib "$text" --imatrix "$text"
wrong "an output that is there" 2 'exists already' --calib "$text" -o "$in/calib.h5"
finish
