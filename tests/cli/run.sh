# quern run: what it answers, and what it refuses.
. tests/cli/lib/tap.sh

"$quern" convert "$demo" -o "$in/demo.gguf" --type F16 -q >/dev/null
run run "$in/demo.gguf" -p 'It was a dark night and' -n 16 --temp 0
prints "the text is gone on with" '[a-z]{3}'
says "the prompt's speed is said" '^prompt: 7 tokens, [0-9.]+ tokens/s$'
says "and the answer's" '^answer: 16 tokens, [0-9.]+ tokens/s$'
says "and memory" '^memory: [0-9.]+ MiB, the cache [0-9.]+ MiB of it$'
says "a model without a chat template is noted" 'no chat template'

answer() { "$quern" run "$in/demo.gguf" -p 'He said' -n 24 -q "$@"; }
is "the same seed, the same answer" "$(answer --seed 3)" "$(answer --seed 3 -t 1)"
[ "$(answer --seed 3)" != "$(answer --seed 4)" ]
result $? "another seed, another answer"
"$quern" quantize "$in/demo.gguf" -o "$tmp/laid.gguf" --type Q4_K_M -q >/dev/null
laid() { "$quern" run "$tmp/laid.gguf" -p 'He said' -n 24 -q --temp 0 "$@"; }
is "weights laid out in memory, the same answer" "$(laid)" "$(laid --no-repack)"
is "with more threads than cores, too" "$(laid)" "$(laid -t 5)"
is "and without wide vectors" "$(laid)" "$(QUERN_CPU_WITHOUT=avx512 laid)"
is "a temperature of 0 is greedy" "$(answer --temp 0)" "$(answer --top-k 1 --seed 5)"
[ "$(answer --temp 0)" != "$(answer --temp 0 --repeat-penalty 1.5)" ]
result $? "a repeat penalty changes the answer"
whole=$(answer --temp 0)
word=$(echo "$whole" | awk '{print $4}')
is "nothing of a stop text is printed" "$(echo "${whole%%"$word"*}" | sed 's/ *$//')" \
    "$(answer --temp 0 --stop "$word" --stop nowhere | sed 's/ *$//')"
is "lines of a pipe are turns" 2 "$(printf 'He said\n\n/reset\nHe said\n/quit\nHe said\n' |
    "$quern" run "$in/demo.gguf" -n 24 -q --temp 0 | grep -cF -x -e "$whole")"
"$quern" run "$in/demo.gguf" -p 'He said' -n 5 -q --json >"$tmp/json"
is "JSON has the answer's tokens and end" "5 length" \
    "$(python3 -c 'import json, sys; j = json.load(sys.stdin); print(len(j["tokens"]), j["end"])' <"$tmp/json")"
run run "$in/demo.gguf" -p 'He said' -c 8 --json -q
is "an answer ends where the context does" "context" \
    "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["end"])' <"$tmp/stdout")"
for type in F32 q8_0; do
    run run "$in/demo.gguf" -p 'He said' -n 4 --cache-type $type
    says "a cache in $type" "in $(echo $type | tr q Q)\\)"
done

printf 'He said\n' >"$in/prompt"
is "a file's text is a prompt, but for its last newline" "$whole" \
    "$("$quern" run "$in/demo.gguf" -f "$in/prompt" -n 24 -q --temp 0)"
"$quern" run "$in/demo.gguf" -p 'He said' -n 0 -c 200 --json -q >"$tmp/stdout"
is "0 tokens: as many as there is room for" "context" \
    "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["end"])' <"$tmp/stdout")"

run run "$in/demo.gguf" -p "$(printf 'He\377 said \303')" -n 4 --temp 0
prints "a prompt that is no UTF-8 is gone on with" '[a-z]'
is "so is a line with NUL, and no line is no turn" "1 0" "$(printf 'He\000said\n' | "$quern" run "$in/demo.gguf" -n 3 -q |
    wc -l) $(: | "$quern" run "$in/demo.gguf" -n 3 -q | wc -c)"
"$quern" run "$in/demo.gguf" -q <"$in" >"$tmp/stdout" 2>"$tmp/stderr"
is "input that cannot be read" "1 quern run: standard input cannot be read" "$? $(cat "$tmp/stderr")"
refuses "a prompt longer than the context" 2 'prompt has 7 tokens, the context holds 4' \
    run "$in/demo.gguf" -p 'It was a dark night and' -c 4 -q
: >"$in/empty"
refuses "an empty file" 2 'prompt is empty' run "$in/demo.gguf" -f "$in/empty" -q
refuses "two prompts" 2 'one of them' run "$in/demo.gguf" -f "$in/prompt" -p x
refuses "an empty stop text" 2 'stop: the text is empty' run "$in/demo.gguf" -p x --stop ''
refuses "a context that does not fit in memory" 1 'not enough memory: a cache of 1 x [0-9]+ tokens' \
    run "$in/demo.gguf" -p x -c "$(awk '/^MemTotal/ {print $2 * 2}' /proc/meminfo)" -q
refuses "an empty prompt" 2 'prompt is empty' run "$in/demo.gguf" -p ''
refuses "JSON of a conversation" 2 'needs a prompt' run "$in/demo.gguf" --json
refuses "a system text without a chat template" 2 'has none' run "$in/demo.gguf" -p x --system y
refuses "a system text for a raw prompt" 2 'raw' run "$in/demo.gguf" -p x --system y --raw
refuses "a folder" 2 'not a GGUF' run "$demo" -p x
refuses "a file that is not there" 1 'none.gguf' run "$in/none.gguf" -p x
refuses "a cache of another type" 2 'F16, F32 or Q8_0' run "$in/demo.gguf" -p x --cache-type Q4_0 -q
refuses "a cache of no type" 2 "called 'half'" run "$in/demo.gguf" -p x --cache-type half -q
refuses "a context beyond memory" 1 'tokens' run "$in/demo.gguf" -p x -c 1000000000000000000 -q
refuses "a top-p of 2" 2 'top-p 2' run "$in/demo.gguf" -p x --top-p 2 -q
refuses "a temperature below 0" 2 'temp -1' run "$in/demo.gguf" -p x --temp -1 -q

renamed() { # FROM TO NAME: the demo with one name in it changed
    LC_ALL=C sed "s/$1/$2/" "$in/demo.gguf" >"$in/$3.gguf"
}
renamed 'tokenizer\.ggml\.model' tokenizer.ggml.modem tokenless
renamed 'blk\.3\.ffn_up\.weight' blk.3.ffn_ux.weight incomplete
refuses "a file without a tokenizer" 1 'tokenless.gguf: tokenizer.ggml.model is not there' \
    run "$in/tokenless.gguf" -p x
refuses "a tensor that is missing" 1 "incomplete.gguf: .*blk.3.ffn_u" run "$in/incomplete.gguf" -p x

# templated NAME JSON: the demo with a chat template
templated() {
    cp -r "$demo" "$in/$1"
    alter json "$in/$1/tokenizer_config.json" chat_template "$2"
    "$quern" convert "$in/$1" -o "$in/$1.gguf" --type F16 -q >/dev/null
}
templated chat '"{{ messages }} <|im_start|>"'
templated strange '"{{ messages }}"'
run run "$in/chat.gguf" -p 'He said' -n 4 --system 'Be brief.'
says "a chat template is followed" 'written as chatml'
turn=$(sed -n 's/.*prompt: \([0-9]*\) tokens.*/\1/p' "$tmp/stderr")
is "with the turns around the prompt" "$(printf '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user
He said<|im_end|>\n<|im_start|>assistant\n.' | sed '$s/\.$//' >"$tmp/turn"
    "$quern" tokenize "$in/chat.gguf" -f "$tmp/turn" --count)" "$turn"
run run "$in/chat.gguf" -p 'He said' -n 4 --raw
says "but for --raw" 'prompt: 3 tokens'
run run "$in/strange.gguf" -p 'He said' -n 4
says "an unknown chat template is noted" 'no known family'

finish
