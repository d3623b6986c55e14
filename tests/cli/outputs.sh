# Where a file cannot or must not be written, none is, and the source stays what it was.
. tests/cli/lib/tap.sh
model llama source
source=$in/source

quantize() { # WHAT STATUS REGEX OUT [OPTION]...
    what=$1 code=$2 regex=$3 file=$4
    shift 4
    refuses "$what" "$code" "$regex" quantize "$source" -o "$file" --type Q8_0 -q "$@"
}

quantize "a folder that is not there" 1 "nowhere/a.gguf.*No such file" "$out/nowhere/a.gguf"
quantize "a folder for a file" 2 "out: exists and is not a regular file" "$out"
quantize "a folder, with --force" 2 "out: exists and is not a regular file" "$out" --force
refuses "no output" 2 "OUT.gguf is needed" quantize "$source" -q
echo precious >"$out/there.gguf"
quantize "a file that is there" 2 "there.gguf: exists already; --force" "$out/there.gguf"
quantize "a report that is there: before work" 2 "there.gguf: exists already" "$out/a.gguf" --report "$out/there.gguf"
quantize "the report in the output's place" 2 "output and the report" "$out/a.gguf" --report "$out/a.gguf"
ok "--force overwrites" "$quern" quantize "$source" -o "$out/there.gguf" --type Q8_0 -q --force
ok "with a whole file" "$quern" verify "$out/there.gguf" "$source" -q
is "and nothing else" there.gguf "$(ls "$out")"

for file in model.safetensors config.json tokenizer.json; do
    quantize "the source's $file, even with --force" 2 "source file .*$file" "$source/$file" --force
done
quantize "the report in the source's place" 2 "source file .*config.json" "$out/a.gguf" --force --report "$source/config.json"
ln "$source/model.safetensors" "$in/hard.gguf"
ln -s "$source/model.safetensors" "$in/soft.gguf"
ln -s "$source/model.safetensors" "$in/next.gguf.tmp"
quantize "the source by a hard link" 2 "hard.gguf: is the source file" "$in/hard.gguf" --force
quantize "the source by a symbolic link" 2 "soft.gguf: is the source file" "$in/soft.gguf" --force
quantize "the source as OUT.tmp" 2 "next.gguf: its temporary file would be the source" "$in/next.gguf" --force
"$quern" convert "$source" -o "$in/one.gguf" -q
"$quern" split "$in/one.gguf" -o "$in/part" --max-tensors 6 -q
for command in convert "quantize --type Q8_0" merge; do
    # shellcheck disable=SC2086 # words are wanted
    refuses "${command%% *} of a GGUF onto itself" 2 "is the source file" $command "$in/one.gguf" -o "$in/../in/one.gguf" -q --force
done
refuses "merge onto a part" 2 "is the source file" merge "$in/part-00001-of-00004.gguf" -o "$in/part-00003-of-00004.gguf" -q --force
refuses "split onto the parts" 2 "is the source file" split "$in/part-00001-of-00004.gguf" -o "$in/part" --max-tensors 6 -q --force
"$quern" inspect "$in/one.gguf" --json | alter imatrix "$in/imatrix.gguf" 0 99 1
head -c 3000 "$root/LICENSE" >"$in/text"
quantize "onto the text of --check" 2 "text: is the source file" "$in/text" --force --check "$in/text"
quantize "the types in the source's place" 2 "source file .*config.json" "$out/a.gguf" --force --recipe-out "$source/config.json"
quantize "the types in the output's place" 2 "the output and the file of types" "$out/a.gguf" --recipe-out "$out/a.gguf"
quantize "onto the importance" 2 "is the source file" "$in/imatrix.gguf" --force --imatrix "$in/imatrix.gguf"

# A file system of 100 KiB: the file is 140 KiB.
mkdir "$out/small"
if mount -t tmpfs -o size=100k none "$out/small" 2>"$tmp/log"; then
    quantize "a disk that is known to be too small" 1 "small/a.gguf: needs 0.1 MiB, .* free" "$out/small/a.gguf"
    umount "$out/small"
    # Room for a part, not for all of them: each is checked alone, so the disk fills up in the middle.
    mount -t tmpfs -o size=200k none "$out/small"
    refuses "a disk that fills up in the middle" 1 "small/p-0000[0-9]-of-0000[0-9].gguf: cannot write .*No space left" \
        split "$in/one.gguf" -o "$out/small/p" --max-size 60K -q
    head -c 130000 /dev/zero >"$out/small/other"
    quantize "a disk that another has filled" 1 "small/a.gguf: needs" "$out/small/a.gguf"
    umount "$out/small"
else
    skip "a disk that is known to be too small" "mount: $(head -n 1 "$tmp/log")"
    skip "a disk that fills up in the middle" "mount is not permitted"
    skip "a disk that another has filled" "mount is not permitted"
fi
rmdir "$out/small"

# Nothing that is said goes into an output, where the streams are closed.
head -c 3000 "$root/LICENSE" >"$in/text"
for streams in 2 "" 21; do
    rm -f "$out/base"
    case $streams in
    2) "$quern" eval "$in/one.gguf" -f "$in/text" -c 64 --save-base "$out/base" 2>&- >/dev/null ;;
    21) "$quern" eval "$in/one.gguf" -f "$in/text" -c 64 --save-base "$out/base" 2>&- >&- ;;
    *) "$quern" eval "$in/one.gguf" -f "$in/text" -c 64 --save-base "$out/base" -q >/dev/null ;;
    esac
    cksum <"$out/base" >>"$tmp/sums"
done
is "closed streams do not get into an output" 1 "$(sort -u "$tmp/sums" | wc -l)"
rm "$out/base"
if [ -w /dev/full ]; then
    for flag in --help --version; do
        "$quern" $flag >/dev/full 2>"$tmp/stderr"
        is "$flag to a full disk" "1 quern: cannot write to standard output" "$? $(cat "$tmp/stderr")"
    done
else
    skip "--help to a full disk" "no /dev/full"
    skip "--version to a full disk" "no /dev/full"
fi

state >"$tmp/before"
(
    ulimit -f 100 # blocks of 512 bytes; dash and bash agree in POSIX mode
    "$quern" quantize "$source" -o "$out/large.gguf" --type Q8_0 -q >"$tmp/stdout" 2>"$tmp/stderr"
)
status=$?
check_refusal "a file larger than a process may write" 1 "large.gguf: cannot write [0-9]+ bytes at [0-9]+: File too large"

if [ "$(id -u)" -ne 0 ]; then
    mkdir "$out/closed"
    chmod a-w "$out/closed"
    quantize "a folder that may not be written" 1 "closed/a.gguf.*Permission denied" "$out/closed/a.gguf"
else
    skip "a folder that may not be written" "root may write anywhere"
fi

"$quern" quantize "$source" --dry-run --type Q8_0 >"$tmp/stdout" 2>"$tmp/stderr"
is "a dry run needs no output" 0 $?
state >"$tmp/before"
run quantize "$source" --dry-run -o "$out/dry.gguf"
state >"$tmp/after"
says "a dry run says what would be" "^output: .*dry.gguf: Q4_K_M, 109 KiB"
ok "and leaves nothing" cmp "$tmp/before" "$tmp/after"
finish
