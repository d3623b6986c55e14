# Importance files: checked before work starts, their coverage said.
. tests/cli/lib/tap.sh
cp -r "$demo" "$in/demo"
"$quern" convert "$in/demo" -o "$in/demo.gguf" -q
imatrix() { # FILE FIRST COUNT COLUMNS_FACTOR
    "$quern" inspect "$in/demo.gguf" --json | alter imatrix "$in/$1" "$2" "$3" "$4"
}
quantize() { # FILE
    run quantize "$in/demo" -o "$out/a.gguf" --force --imatrix "$in/$1" --type Q4_K_M "${2:---no-table}"
}

imatrix whole.dat 0 999 1
quantize whole.dat
says "coverage is said" "^importance: .*whole.dat covers ([0-9]+) of \1 tensors \(10 chunks\)"
says "and none is missing" "^types: "
grep -q 'without importance' "$tmp/stderr"
is "no tensor is without" 1 $?
run quantize "$in/demo" -o "$out/a.gguf" --force --imatrix "$in/whole.dat" --report "$tmp/report.json" -q
python3 -c '
import json, sys
total = json.load(open(sys.argv[1]))["total"]
assert total["weighted_mse"] > 0' "$tmp/report.json"
result $? "the weighted error is reported"
run inspect "$out/a.gguf" --json
prints "the file names it" '"quantize.imatrix.file": ".*whole.dat"'
weighted=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["total"]["mse"])' "$tmp/report.json")
"$quern" quantize "$in/demo" -o "$out/b.gguf" --report "$tmp/plain.json" -q
plain=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["total"]["mse"])' "$tmp/plain.json")
ok "importance costs plain error: it is used" python3 -c "assert $weighted > $plain"

imatrix part.dat 1 5 1
quantize part.dat
says "a part is used, and counted" "^importance: .*part.dat covers 5 of [0-9]+ tensors"
says "the tensors without are counted" "^  without importance: [0-9]+, the first '[a-z0-9_.]+'"
rm -r "$out" && mkdir "$out"

wrong() { # WHAT REGEX FILE
    refuses "$1" 1 "$2" quantize "$in/demo" -o "$out/a.gguf" -q --imatrix "$in/$3"
}
imatrix wide.dat 0 999 2
wrong "a file of another size" "wide.dat: .*'[a-z0-9_.]+'.* [0-9]+ .* [0-9]+" wide.dat
head -c 1000 "$in/whole.dat" >"$in/short.dat"
wrong "a file cut short" "short.dat: " short.dat
echo "not an importance matrix" >"$in/text.dat"
wrong "a file that is none" "text.dat: " text.dat
: >"$in/empty.dat"
wrong "an empty file" "empty.dat: " empty.dat
wrong "a model in its place" "demo.gguf: " demo.gguf
wrong "a file that is not there" "nowhere.dat: .*No such file" nowhere.dat
finish
