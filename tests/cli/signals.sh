# Stopped in the middle: no output, and the source as it was.
. tests/cli/lib/tap.sh
mkdir "$tmp/tokenizer"
cp "$golden/llama/tokenizer.json" "$golden/llama/tokenizer_config.json" "$tmp/tokenizer"
# 130 MB of F16.  It is read and encoded by one thread, without AVX2: seconds.
"$build/tests/bench/make_model" "$in/model" "$tmp/tokenizer" 5 1024 8 4 3072 1024
sum=$(cksum <"$in/model/model.safetensors")

# Starts a slow run in the background and waits until it writes: $pid.  A child of a shell ignores SIGINT
# where it runs in the background, so python3 sets it back.
start() { # COMMAND ARGUMENT...
    rm -f "$tmp/stderr"
    QUERN_CPU_WITHOUT=avx2 python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN if "NOHUP" in os.environ else signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$quern" "$@" >"$tmp/stdout" 2>"$tmp/stderr" &
    pid=$!
    tries=0
    until [ -s "$out/a.gguf.tmp" ] || [ $tries -ge 300 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    [ -s "$out/a.gguf.tmp" ]
    result $? "${1}: it writes"
}

stop() { # SIGNAL: sends it and waits: $status
    kill "-$1" "$pid"
    wait "$pid" 2>/dev/null
    status=$?
}

for signal in INT TERM HUP; do
    start quantize "$in/model" -o "$out/a.gguf" --type IQ4_XS --threads 1 -q
    stop $signal
    is "SIG$signal: status 130" 130 $status
    is "SIG$signal: one sentence" "quern quantize: stopped; nothing was written" "$(cat "$tmp/stderr")"
    is "SIG$signal: nothing is left" "" "$(ls "$out")"
done

export NOHUP=1
start quantize "$in/model" -o "$out/a.gguf" --type IQ4_XS --threads 1 -q
unset NOHUP
kill -HUP "$pid"
sleep 0.5
[ -e "$out/a.gguf.tmp" ]
result $? "SIGHUP under nohup: it goes on"
stop TERM

start quantize "$in/model" -o "$out/a.gguf" --type IQ4_XS --threads 1 -q
run quantize "$golden/llama" -o "$out/a.gguf" -q
is "a second run of the same output: status 1" 1 $status
is "and it leaves the first alone" "quern quantize: $out/a.gguf: another run is writing it" "$(cat "$tmp/stderr")"
stop KILL
is "SIGKILL: status 137" 137 $status
[ ! -e "$out/a.gguf" ]
result $? "SIGKILL: no output"
ok "the next run replaces what is left" "$quern" quantize "$golden/llama" -o "$out/a.gguf" --type Q8_0 -q
ok "with a whole file" "$quern" verify "$out/a.gguf" "$golden/llama" -q
is "and nothing else" a.gguf "$(ls "$out")"

start quantize "$in/model" -o "$out/a.gguf" --type IQ4_XS --threads 2 -q --force
stop INT
is "--force, stopped: status 130" 130 $status
ok "the file of before is still there" "$quern" verify "$out/a.gguf" "$golden/llama" -q
is "alone" a.gguf "$(ls "$out")"
is "the source is what it was" "$sum" "$(cksum <"$in/model/model.safetensors")"
finish
