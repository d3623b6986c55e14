# Gradients: the same for any threads and after SIGKILL; what GPTQ makes of them is, too.
. tests/cli/lib/tap.sh
. tests/cli/lib/calibrate.sh
backward() { # OUT ARGUMENT...
    name=$1
    shift
    calibrate "$name" --chunks 8 --gradients --gradient-chunks 3 "$@"
}

backward a.h5
says "the plan names them" 'gradients of 3 windows'
for threads in 1 5; do
    backward "$threads.h5" --threads $threads -q
    ok "$threads threads: the same bytes" cmp "$out/a.h5" "$out/$threads.h5"
done
calibrate none.h5 --chunks 8 -q
[ "$(stat -c %s "$out/none.h5")" -lt "$(stat -c %s "$out/a.h5")" ]
result $? "without: a smaller file"

kill_on_its_way_back() { # OUT
    "$quern" calibrate "$in/demo" -f "$in/text" -o "$out/$1" -c 128 --chunks 8 --gradients --gradient-chunks 3 \
        --threads 1 -q >/dev/null 2>&1 &
    pid=$!
    n=0
    while [ $n -lt 400 ] && [ ! -e "$out/$1.work/part-00020.h5" ] && [ ! -e "$out/$1" ]; do
        sleep 0.05
        n=$((n + 1))
    done
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
}
kill_on_its_way_back killed.h5
backward killed.h5 --force -q
ok "killed on the way back, and begun again: the same bytes" cmp "$out/a.h5" "$out/killed.h5"
kill_on_its_way_back other.h5
calibrate other.h5 --chunks 8 --force -q
ok "begun again without: the file is that without" cmp "$out/none.h5" "$out/other.h5"
is "and nothing of the other is left" "" "$(ls "$out" | grep -E 'work|tmp|source')"

for threads in 1 2 5; do
    run quantize "$in/demo" -o "$out/$threads.gguf" --type Q4_K_M --method gptq --calib "$out/a.h5" --quality fast \
        --threads $threads -q
    ok "quantized by $threads threads: the same bytes" cmp "$out/1.gguf" "$out/$threads.gguf"
done
run quantize "$in/demo" -o "$out/none.gguf" --type Q4_K_M --method gptq --calib "$out/none.h5" --quality fast -q
[ "$(stat -c %s "$out/none.gguf")" -eq "$(stat -c %s "$out/1.gguf")" ] && ! cmp -s "$out/none.gguf" "$out/1.gguf"
result $? "rows hear from each other: other bytes, as many"

refuses "importance alone has none" 2 'gradients goes with Hessians' calibrate "$in/demo" -f "$in/text" \
    -o "$out/bad.h5" --gradients --importance-only
finish
