# The same input gives the same bytes: any number of threads, any kernels, with and without importance.
. tests/cli/lib/tap.sh
source=$demo
if grep -q __asan_init "$quern"; then # thirty times slower: a smaller model
    source=$in/model
    "$build/tests/bench/make_model" "$source" "$golden/llama" 1 256 4 2 512 512
fi

sum() { # NAME [OPTION]...: the checksum of the model, quantized
    name=$1
    shift
    "$quern" quantize "$source" -o "$out/$name.gguf" -q --force "$@" && cksum <"$out/$name.gguf"
}

compare() { # WHAT [OPTION]...
    what=$1
    shift
    first=$(sum a --threads 1 "$@")
    [ -n "$first" ] && [ "$first" = "$(sum b --threads 2 "$@")" ] &&
        [ "$first" = "$(sum b --threads 7 "$@")" ] &&
        [ "$first" = "$(QUERN_CPU_WITHOUT=avx2 sum b "$@")" ]
    result $? "$what"
}

recipes=$("$quern" codecs --json | python3 -c '
import json, sys
print(*(r["name"] for r in json.load(sys.stdin)["recipes"]))')
[ "$(echo "$recipes" | wc -w)" -ge 23 ]
result $? "there are recipes"
for recipe in $recipes; do
    compare "$recipe" --type "$recipe"
done

"$quern" convert "$source" -o "$out/demo.gguf" -q
"$quern" inspect "$out/demo.gguf" --json | alter imatrix "$tmp/imatrix.dat" 0 999 1
for recipe in Q4_0 Q3_K_M Q4_K_M IQ4_XS; do
    compare "$recipe with importance" --type $recipe --imatrix "$tmp/imatrix.dat"
done
[ "$(sum a --type Q4_K_M)" != "$(sum b --type Q4_K_M --imatrix "$tmp/imatrix.dat")" ]
result $? "importance changes the file"

is "the source's own types are one of them" "$(cksum <"$out/demo.gguf")" \
    "$(QUERN_CPU_WITHOUT=avx2 "$quern" convert "$source" -o "$out/b.gguf" -q --force --threads 7 && cksum <"$out/b.gguf")"
is "from GGUF as from the folder" "$(sum a --type Q4_K_M)" \
    "$("$quern" quantize "$out/demo.gguf" -o "$out/b.gguf" --type Q4_K_M -q --force && cksum <"$out/b.gguf")"
finish
