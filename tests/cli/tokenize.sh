# The tokens of a text and the text of tokens, in every form; what is wrong is one sentence.
. tests/cli/lib/tap.sh

model=$golden/llama3
"$quern" convert "$model" -o "$in/a.gguf" -q --no-table

run tokenize "$model" -p 'He said <|eot_id|>'
is "an id and what it stands for" '       0  "<|begin_of_text|>"' "$(head -n 1 "$tmp/stdout")"
prints "a control token, as spelled" '^ +[0-9]+  "<\|eot_id\|>"$'
cp "$tmp/stdout" "$tmp/folder"
run tokenize "$in/a.gguf" -p 'He said <|eot_id|>'
ok "a GGUF has the folder's tokens" cmp "$tmp/folder" "$tmp/stdout"

run tokenize "$model" -p 'Hello' --ids
ids=$(cat "$tmp/stdout")
is "ids alone, on one line" 1 "$(wc -l <"$tmp/stdout")"
run tokenize "$model" -p 'Hello' --count
is "as many as are counted" "$(echo "$ids" | wc -w)" "$(cat "$tmp/stdout")"
run tokenize "$model" -p 'Hello' --ids --no-bos
is "without the beginning" "${ids#* }" "$(cat "$tmp/stdout")"
run tokenize "$model" --decode "$ids" --no-parse-special
is "decoded again" Hello "$(cat "$tmp/stdout")"
run tokenize "$model" --decode "[${ids}]"
is "with the beginning spelled" "<|begin_of_text|>Hello" "$(cat "$tmp/stdout")"
run tokenize "$model" -p '<|eot_id|>' --ids --no-bos
is "one control token" 1 "$(wc -w <"$tmp/stdout")"
run tokenize "$model" -p '<|eot_id|>' --ids --no-bos --no-parse-special
is "or its letters" 8 "$(wc -w <"$tmp/stdout")"

printf 'a\377\000b\n' >"$in/bytes"
"$quern" tokenize "$model" -f "$in/bytes" --ids --no-bos >"$tmp/file"
"$quern" tokenize "$model" --ids --no-bos <"$in/bytes" >"$tmp/stdin"
ok "a file is as standard input" cmp "$tmp/file" "$tmp/stdin"
is "NUL, and a byte that is no UTF-8, are tokens" 5 "$(wc -w <"$tmp/file")"
{ "$quern" tokenize "$model" --decode "$(cat "$tmp/file")" | head -c 5; } >"$tmp/back"
ok "and come back" cmp "$in/bytes" "$tmp/back"
"$quern" tokenize "$model" -f "$in/bytes" >"$tmp/stdout"
ok "and are shown" grep -q '"\\xff"$' "$tmp/stdout"
run tokenize "$model" --count --no-bos
is "a text without letters has no tokens" 0 "$(cat "$tmp/stdout")"

run tokenize "$model" -p Hello --json
ok "JSON has count, ids and texts" python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
assert report["count"] == len(report["tokens"]) and "".join(t["text"] for t in report["tokens"][1:]) == "Hello"' "$tmp/stdout"
printf '"Hello"\n[%s]\n"a\\u0000"' "$(echo "$ids" | tr ' ' ,)" >"$in/lines"
"$quern" tokenize "$model" -f "$in/lines" --json-lines --no-bos >"$tmp/stdout"
is "a line of JSON for each: ids" "[$(echo "${ids#* }" | tr ' ' ,)]" "$(head -n 1 "$tmp/stdout")"
is "a line of JSON for each: text" '"<|begin_of_text|>Hello"' "$(sed -n 2p "$tmp/stdout")"
is "a line of JSON for each: all" 3 "$(wc -l <"$tmp/stdout")"

printf '"a"\nb\n' >"$in/bad"
printf '"a"\n7\n' >"$in/seven"
refuses "two texts" 2 "one of them" tokenize "$model" -p a -f "$in/bytes"
refuses "no list of ids" 2 "decode: byte 2 is 0x78: no token's number" tokenize "$model" --decode "1 x7"
refuses "an id beyond the vocabulary" 2 "99999 is no id of a token: there are 400" tokenize "$model" --decode 99999
refuses "a file that is not there" 1 "nothing.txt" tokenize "$model" -f "$in/nothing.txt"
run tokenize "$model" -f "$in/bad" --json-lines
is "a line that is no JSON is named" "2 quern tokenize: line 2: no JSON" "$status $(cut -c 1-31 "$tmp/stderr")"
run tokenize "$model" -f "$in/seven" --json-lines
is "so is one of another kind" "2 quern tokenize: line 2: neither a string nor an array of ids" "$status $(cat "$tmp/stderr")"
"$build/tests/formats/tokenizer_file" "$model" "$in/odd.gguf" 0 qwen3 >/dev/null
refuses "a splitter that nobody knows" 1 "odd.gguf: tokenizer.ggml.pre is 'qwen3', which nobody knows; did it mean 'qwen2'" tokenize "$in/odd.gguf" -p a
finish
