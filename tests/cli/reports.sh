# What goes to stdout and stderr: JSON, reports, quiet, pipes, narrow terminals.
. tests/cli/lib/tap.sh
model llama llama
"$quern" convert "$in/llama" -o "$in/f16.gguf" -q

# json WHAT EXPRESSION ARGUMENT...: --json prints one JSON document j, of which the expression holds.
json() {
    what=$1
    expression=$(echo "$2" | tr '\n' ' ')
    shift 2
    run "$@" --json
    python3 -c "
import json, sys
j = json.load(open(sys.argv[1]))
assert $expression, j" "$tmp/stdout" >"$tmp/log" 2>&1 && [ "$status" -eq 0 ]
    code=$?
    result $code "$what"
    [ $code -eq 0 ] || tail -n 1 "$tmp/log" | cut -c 1-300 | sed "s/^/# status $status: /"
}

tensor='{"name", "type", "shape", "weights", "bits_per_weight", "chosen_by"}'
figures='{"mse", "rmse", "snr_db", "max_error"}'
report="j['bytes'] > 100000 and {'source', 'output', 'type', 'seconds', 'fallback_tensors', 'fallback_weights',
    'notes', 'dry_run'} <= set(j) and len(j['tensors']) == 21 and $figures <= set(j['total'])
    and all($tensor | $figures | {'worst', 'copied', 'nonfinite', 'seconds'} <= set(t) for t in j['tensors'])
    and j['total']['weights'] == 125248 == sum(t['weights'] for t in j['tensors'])"
json "convert" "$report and j['type'] == 'auto' and j['total']['mse'] == 0 and j['seconds'] > 0" \
    convert "$in/llama" -o "$out/a.gguf"
json "quantize" "$report and sum(t['worst'] for t in j['tensors']) == 5 and j['fallback_tensors'] == 16
    and j['total']['snr_db'] > 25" quantize "$in/llama" -o "$out/b.gguf"
json "quantize --verify" "$report and j['verify']['good'] is True and len(j['verify']['tensors']) == 21" \
    quantize "$in/llama" -o "$out/b.gguf" --force --verify
json "a dry run" "j['dry_run'] is True and j['output'] is None and j['bytes'] > 100000 and len(j['tensors']) == 21
    and j['tensors'][0]['wanted_type'] == 'Q6_K'" quantize "$in/llama" --dry-run
json "verify" "j['good'] is True and len(j['tensors']) == 21 and $figures | {'name', 'status', 'different'}
    <= set(j['tensors'][0])" verify "$out/b.gguf" "$in/llama"
json "compare" "[f['file'][-6:] for f in j['files']] == ['a.gguf', 'b.gguf'] and $figures | {'bytes',
    'bits_per_weight'} <= set(j['files'][1]) and 'worst_tensor' in j['files'][1]" \
    compare "$in/llama" "$out/a.gguf" "$out/b.gguf"
json "inspect of a GGUF" "j['container'] == 'GGUF' and j['metadata']['general.architecture'] == 'llama'
    and len(j['metadata']['tokenizer.ggml.tokens']) == 400 and len(j['tensors']) == 21" inspect "$out/a.gguf"
json "inspect of a folder" "j['container'] == 'safetensors' and len(j['tensors']) == 21
    and j['tensors'][0]['name'] == 'lm_head.weight'" inspect "$in/llama"
json "inspect of a tensor" "len(j['histogram']) == 32 and sum(j['histogram']) == 4096 and j['nans'] == 0
    and j['min'] < j['mean'] < j['max'] and j['shape'] == [64, 64]" inspect "$out/a.gguf" --tensor blk.0.attn_q.weight
json "split" "j['files'] == 4" split "$out/a.gguf" -o "$out/p" --max-tensors 6
json "merge" "j['files'] == 4 and j['tensors'] == 21" merge "$out/p-00001-of-00004.gguf" -o "$out/m.gguf"
json "codecs" "len(j['types']) >= 18 and len(j['recipes']) >= 23 and j['types'][0]['name'] == 'F32'
    and {'bits_per_weight', 'block_elements', 'block_bytes', 'summary'} <= set(j['types'][3])" codecs

run quantize "$in/llama" -o "$out/b.gguf" --force --report "$out/b.json" -q
is "--report with --quiet: nothing is said" 0 "$(cat "$tmp/stdout" "$tmp/stderr" | wc -c)"
run quantize "$in/llama" -o "$out/b.gguf" --force --json -q
ok "--report is what --json prints, but for the seconds" python3 -c '
import json, sys
def load(path):
    j = json.load(open(path))
    for t in [j] + j["tensors"]:
        del t["seconds"]
    return j
assert load(sys.argv[1]) == load(sys.argv[2])' "$out/b.json" "$tmp/stdout"

for command in "convert $in/llama -o $out/q.gguf" "quantize $in/llama -o $out/q.gguf --verify" \
    "verify $out/q.gguf $in/llama" "split $out/q.gguf -o $out/q --max-tensors 6" \
    "merge $out/q-00001-of-00004.gguf -o $out/q.gguf"; do
    # shellcheck disable=SC2086 # words are wanted
    case ${command%% *} in
    verify) run $command --quiet ;;
    *) run $command --quiet --force ;;
    esac
    is "${command%% *} --quiet: done, and nothing said" "0 0" "$status $(cat "$tmp/stdout" "$tmp/stderr" | wc -c)"
done

run quantize "$in/llama" -o "$out/q.gguf" --force
is "the table is on stdout" 24 "$(wc -l <"$tmp/stdout")"
is "the worst five are marked" 5 "$(grep -c '^\* ' "$tmp/stdout")"
says "what is read and what will be: on stderr, before" "^source: .*llama \(safetensors, llama\): 21 tensors, 125 k weights"
says "with threads and kernels" "^with: +[0-9]+ threads?, [a-z0-9]+ kernels"
is "no escape sequences in a pipe" 0 "$(grep -c "$(printf '\033')" "$tmp/stdout" "$tmp/stderr" | awk -F: '{n += $2} END {print n}')"

for command in "inspect $in/f16.gguf" "inspect $in/f16.gguf --json" "codecs --json" "quantize --help"; do
    # shellcheck disable=SC2086 # words are wanted
    "$quern" $command 2>"$tmp/stderr" | head -n 1 >"$tmp/stdout"
    is "a closed pipe is no error: ${command%% *}" "1 0" "$(wc -l <"$tmp/stdout") $(wc -l <"$tmp/stderr")"
done
if [ -w /dev/full ]; then
    for command in "codecs --json" "inspect $in/f16.gguf --json" "codecs" "inspect $in/f16.gguf"; do
        # shellcheck disable=SC2086 # words are wanted
        "$quern" $command >/dev/full 2>"$tmp/stderr"
        is "a full standard output is an error: ${command%% *}" "1 1" "$? $(wc -l <"$tmp/stderr")"
    done
else
    skip "a full standard output is an error" "no /dev/full"
fi

# On a terminal of 60 columns.
if command -v script >/dev/null 2>&1 && script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    for command in "quantize $in/llama -o $out/q.gguf --force" "inspect $in/f16.gguf" "inspect $in/llama" \
        "inspect $in/f16.gguf --tensor output.weight" "verify $out/b.gguf $in/llama" \
        "compare $in/llama $out/a.gguf $out/b.gguf" "quantize --help"; do
        script -qec "stty cols 60; COLUMNS=60 '$quern' $command 2>/dev/null" /dev/null </dev/null >"$tmp/screen"
        widest=$(python3 -c '
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
lines = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in text.splitlines()]
# What is to be copied is not cut: usage and examples.
print(max(len(l) for l in lines if not l.startswith(("usage:", "  quern "))), len(lines) > 2)' "$tmp/screen")
        [ "${widest% *}" -le 60 ] && [ "${widest#* }" = True ]
        code=$?
        result $code "60 columns: ${command%% *}"
        [ $code -eq 0 ] || {
            echo "# widest line, more than two lines: $widest"
            sed 's/^/#   /' "$tmp/screen"
        }
    done
else
    skip "lines of 60 columns on a terminal" "no working script(1)"
fi
finish
