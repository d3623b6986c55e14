# What is wrong with a source is said in one sentence, and nothing is written.
. tests/cli/lib/tap.sh

convert() { # WHAT REGEX SOURCE [OPTION]...
    what=$1 regex=$2 source=$3
    shift 3
    refuses "$what" 1 "$regex" convert "$in/$source" -o "$out/a.gguf" -q "$@"
}

up=model.layers.1.mlp.up_proj.weight
model llama nan
alter value "$in/nan/model.safetensors" $up $((7 * 64 + 5)) nan
for type in auto BF16 Q8_0 Q4_0 Q4_K_M; do
    convert "NaN is named with its place: $type" \
        "nan: tensor 'blk.1.ffn_up.weight': NaN at row 7, column 5;.*--allow-nan" nan --type $type
done
refuses "quantize refuses it, too" 1 "NaN at row 7, column 5" quantize "$in/nan" -o "$out/a.gguf" -q --threads 1
model llama inf
alter value "$in/inf/model.safetensors" $up $((127 * 64 + 63)) -inf
convert "infinity is named with its place" "inf: tensor 'blk.1.ffn_up.weight': infinity at row 127, column 63;" inf
model llama_bf16 nan_bf16
alter value "$in/nan_bf16/model.safetensors" model.norm.weight 3 nan
convert "NaN in a norm" "tensor 'output_norm.weight': NaN at row 0, column 3" nan_bf16

run convert "$in/nan" -o "$out/nan-F16.gguf" --allow-nan --no-table
says "--allow-nan copies, and says how many" "^NaN: +1 values .* copied"
ok "the file is the source's" "$quern" verify "$out/nan-F16.gguf" "$in/nan" -q
run quantize "$in/nan" -o "$out/nan-Q8_0.gguf" --type Q8_0 --allow-nan --no-table
says "--allow-nan leaves out of blocks, and says how many" "^NaN: +1 values .* stored as 0"
ok "the file is valid" "$quern" verify "$out/nan-Q8_0.gguf" "$in/nan" -q
run inspect "$out/nan-Q8_0.gguf" --tensor blk.1.ffn_up.weight --json
prints "and has no NaN" '"nans": 0'
model llama clean
"$quern" quantize "$in/clean" -o "$out/clean-Q8_0.gguf" --type Q8_0 --name nan -q
differ=$(cmp -l "$out/clean-Q8_0.gguf" "$out/nan-Q8_0.gguf" | wc -l)
[ "$differ" -gt 0 ] && [ "$differ" -le 34 ]
result $? "but for one block it is the file without the NaN ($differ bytes differ)"

model llama_sharded cut
truncate -s -100 "$in/cut/model-00003-of-00004.safetensors"
convert "a truncated shard" "cut/model-00003-of-00004.safetensors: tensor '[a-z0-9_.]+': .*ends at byte [0-9]+.*[0-9]+.*cut short" cut
model llama_sharded head
truncate -s 20 "$in/head/model-00002-of-00004.safetensors"
convert "a shard cut in its header" "head/model-00002-of-00004.safetensors: .*20" head
model llama_sharded gone
rm "$in/gone/model-00003-of-00004.safetensors"
convert "a missing shard" "gone/model.safetensors.index.json: model-00003-of-00004.safetensors is missing, one of the 4" gone

model llama dtype
cp "$in/dtype/model.safetensors" "$tmp/good"
alter header "$in/dtype/model.safetensors" $up dtype '"I16"'
convert "integers for weights" "dtype: tensor '$up' holds I16" dtype
cp "$tmp/good" "$in/dtype/model.safetensors"
alter header "$in/dtype/model.safetensors" $up dtype '"F32"'
convert "a wrong dtype" "dtype/model.safetensors: tensor '$up': .*F32 takes 32768 bytes.* 16384" dtype
cp "$tmp/good" "$in/dtype/model.safetensors"
alter header "$in/dtype/model.safetensors" $up dtype '"Q9"'
convert "a dtype that nobody knows" "dtype/model.safetensors: tensor '$up': .*'Q9'" dtype
cp "$tmp/good" "$in/dtype/model.safetensors"
alter header "$in/dtype/model.safetensors" $up shape '[64, 128]'
convert "a shape that disagrees with the config" "dtype: tensor '$up' is 64 x 128; config.json makes it 128 x 64" dtype
cp "$tmp/good" "$in/dtype/model.safetensors"
alter json "$in/dtype/config.json" num_hidden_layers 3
convert "a config with a layer too many" "tensor 'model\.layers\.2\.[a-z_.]+' is missing" dtype
alter json "$in/dtype/config.json" num_hidden_layers 1
convert "a config with a layer too few" "tensor 'model\.layers\.1\.[a-z_.]+'" dtype
alter json "$in/dtype/config.json" num_hidden_layers '"two"'
convert "a config with a word for a number" "config.json: .*num_hidden_layers" dtype
echo '{"architectures": [' >"$in/dtype/config.json"
convert "a config that is no JSON" "config.json: .*line 2" dtype

model llama vocabulary
alter vocabulary "$in/vocabulary/tokenizer.json" 500
convert "a vocabulary larger than the embedding" "vocabulary: the tokenizer has 500 tokens, .*400 rows" vocabulary
alter vocabulary "$in/vocabulary/tokenizer.json" 350
run convert "$in/vocabulary" -o "$out/padded.gguf" --no-table
says "a smaller one is padded, and that is said" "^note: .* 400 rows for 350 tokens"
run inspect "$out/padded.gguf" --json
is "to the rows of the embedding" 400 "$(python3 -c '
import json, sys
keys = json.load(sys.stdin)["metadata"]
print(len(keys["tokenizer.ggml.tokens"]))' <"$tmp/stdout")"
rm "$out/padded.gguf"

model llama unknown
alter json "$in/unknown/config.json" architectures '["LlamoForCausalLM"]'
convert "an unknown architecture: the known ones, and the nearest" \
    "unknown: config.json: .*'LlamoForCausalLM'.*MistralForCausalLM.*Qwen2ForCausalLM.*nearest is LlamaForCausalLM" unknown

printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 4096\n' 0 >"$tmp/pointer"
model llama lfs
cp "$tmp/pointer" "$in/lfs/model.safetensors"
convert "an LFS pointer for weights" "lfs/model.safetensors: .*Git LFS pointer.*git lfs pull" lfs
model llama lfs
cp "$tmp/pointer" "$in/lfs/tokenizer.json"
convert "an LFS pointer for a tokenizer" "lfs/tokenizer.json: .*Git LFS pointer" lfs
cp "$tmp/pointer" "$in/pointer.gguf"
refuses "an LFS pointer for a GGUF" 1 "pointer.gguf: .*Git LFS pointer" inspect "$in/pointer.gguf"

echo "a letter to a friend" >"$in/letter.txt"
: >"$in/empty.gguf"
: >"$in/empty.safetensors"
: >"$in/empty"
mkdir "$in/folder"
convert "a file that is no model" "letter.txt: not a model file.*safetensors, GGUF" letter.txt
convert "an empty GGUF" "empty.gguf: .*not a GGUF" empty.gguf
convert "an empty safetensors file" "empty.safetensors: 0 bytes" empty.safetensors
convert "an empty file" "in/empty: " empty
convert "a path that is not there" "in/nowhere: .*No such file" nowhere
convert "a folder without a model" "in/folder: no model file in this folder; .*safetensors, GGUF" folder
model llama no_tokenizer
rm "$in/no_tokenizer/tokenizer.json"
convert "a folder without tokenizer.json" "convert: [^:]*no_tokenizer/tokenizer.json: .*No such file" no_tokenizer
model llama no_config
rm "$in/no_config/config.json"
convert "a folder without config.json" "no_config: no config.json" no_config

"$quern" convert "$golden/llama" -o "$in/good.gguf" -q
size=$(wc -c <"$in/good.gguf")
for keep in 3 20 100 9000 $((size - 33)); do
    head -c "$keep" "$in/good.gguf" >"$in/short.gguf"
    convert "a GGUF of $keep bytes" "short.gguf: " short.gguf
done
for command in "inspect FILE" "verify FILE $golden/llama" "compare $golden/llama FILE" \
    "split FILE -o $out/part --max-size 1K" "merge FILE -o $out/whole.gguf"; do
    # shellcheck disable=SC2046 # words are wanted
    refuses "${command%% *} refuses it, too" 1 "short.gguf: " $(echo "$command" | sed "s|FILE|$in/short.gguf|") -q
done
finish
