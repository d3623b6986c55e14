#!/bin/sh
# The main job on the shipped model: convert, quantize three ways, verify, compare, run.
# usage: examples/demo.sh BUILD_DIR   (from the project's root; `make demo` runs it)
set -eu
quern=$1/quern
out=$1/demo
mkdir -p "$out"

step() { # as one would type it
    printf '\n$ quern'
    for word; do
        case $word in
        *' '*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
    "$quern" "$@"
}

step convert examples/demo -o "$out/demo-F16.gguf" --verify --force --no-table
for type in Q8_0 Q4_K_M Q2_K; do
    step quantize examples/demo -o "$out/demo-$type.gguf" --type "$type" --force --no-table
    step verify "$out/demo-$type.gguf" examples/demo --no-table
done
step compare examples/demo "$out/demo-F16.gguf" "$out/demo-Q8_0.gguf" "$out/demo-Q4_K_M.gguf" \
    "$out/demo-Q2_K.gguf" -f examples/evaluation.txt --chunks 8
for type in F16 Q8_0 Q4_K_M Q2_K; do
    step run "$out/demo-$type.gguf" -p 'The old man looked at the sea, and' -n 40 --temp 0.7 --seed 1
done

cat <<END

The files in $out run in stock llama.cpp and Ollama. For a model of your own, a folder as people
download it:

  $quern quantize path/to/model-folder -o model-Q4_K_M.gguf --type Q4_K_M
  $quern verify model-Q4_K_M.gguf path/to/model-folder
  $quern inspect model-Q4_K_M.gguf
  $quern --help
END
