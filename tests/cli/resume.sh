# GPTQ killed at ten random points goes on where it was, and gives the same bytes.
. tests/cli/lib/tap.sh
text=$root/examples/calibration.txt
ok "calibrate" "$quern" calibrate "$demo" -f "$text" -o "$in/calib.h5" --chunks 4 -q
set -- quantize "$demo" --type Q3_K_M --method gptq --calib "$in/calib.h5" -t 1
ok "in one go" "$quern" "$@" -o "$out/whole.gguf" --quality fast -q

# Stops one run SECONDS after it began; it may be done by then.
interrupt() { # SIGNAL SECONDS
    python3 -c '
import signal, subprocess, sys
run = subprocess.Popen(sys.argv[3:], stderr=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
try:
    run.wait(float(sys.argv[2]))
except subprocess.TimeoutExpired:
    run.send_signal(getattr(signal, "SIG" + sys.argv[1]))
    run.wait()' "$1" "$2" "$quern" quantize "$demo" --type Q3_K_M --method gptq --calib "$in/calib.h5" -t 1 -o "$out/a.gguf" --quality fast -q
}

kills=0
for seconds in $(python3 -c 'import random; print(*["%.2f" % random.uniform(0.1, 0.6) for _ in range(10)])'); do
    [ -e "$out/a.gguf" ] && break
    interrupt KILL "$seconds"
    kills=$((kills + 1))
done
echo "# killed $kills times, $(wc -c <"$out/a.gguf.resume" 2>/dev/null || echo 0) bytes of journal"
[ -e "$out/a.gguf" ] || ok "the last run ends the work" "$quern" "$@" -o "$out/a.gguf" --quality fast -q
ok "killed $kills times: the same bytes" cmp "$out/whole.gguf" "$out/a.gguf"
is "nothing else is left" "a.gguf whole.gguf" "$(cd "$out" && echo *)"

rm "$out/a.gguf"
interrupt INT 0.5
if [ -e "$out/a.gguf.resume" ]; then
    "$quern" "$@" -o "$out/a.gguf" --quality fast --no-table 2>"$tmp/said" >"$tmp/table"
    result $? "interrupted: the next run ends it"
    ok "and says so" grep -q '^resume: [0-9]* of 56 tensors are there' "$tmp/said"
    ok "interrupted: the same bytes" cmp "$out/whole.gguf" "$out/a.gguf"
    rm "$out/a.gguf"
fi

interrupt KILL 0.5
"$quern" "$@" -o "$out/a.gguf" --quality best --no-table 2>"$tmp/said" >"$tmp/table"
result $? "other options: the work is done"
[ ! -s "$tmp/said" ] || ok "and begun anew" grep -q '^resume: what an earlier run left is of other options' "$tmp/said"
ok "as without an earlier run" "$quern" "$@" -o "$out/b.gguf" --quality best -q
ok "the same bytes" cmp "$out/a.gguf" "$out/b.gguf"

rm "$out/a.gguf" "$out/b.gguf"
interrupt INT 0.5
if [ -e "$out/a.gguf.resume" ]; then
    printf '\0' >>"$in/calib.h5" # HDF5 does not mind
    "$quern" "$@" -o "$out/a.gguf" --quality fast --no-table 2>"$tmp/said" >"$tmp/table"
    result $? "another file of calibration: the work is done"
    ok "and begun anew" grep -q '^resume: what an earlier run left is of other options' "$tmp/said"
    ok "the same bytes, for it says the same" cmp "$out/whole.gguf" "$out/a.gguf"
fi
finish
