#!/bin/sh
# Every check that is not a test: run from the project's root by `make lint`.
bad=0
fail() { echo "lint: $*" >&2; bad=1; }
flags="-I. -D_POSIX_C_SOURCE=200809L -std=c11 $(pkg-config --cflags hdf5)"
code=$(git ls-files 'core/*.[ch]' 'quantize/*.[ch]' 'formats/*.[ch]' 'model/*.[ch]' 'calib/*.[ch]' \
    'eval/*.[ch]' 'tools/*.[ch]' 'tests/*.[ch]')
own=$(echo "$code" | grep -v '_table\.c$')

tests/lint/layers.sh || bad=1

echo "$code" | xargs -n 1 basename | sort | uniq -d | while read -r name; do
    echo "lint: two files are called $name" >&2
done | grep . >&2 && bad=1

for file in $own; do
    [ "$(wc -l <"$file")" -le 600 ] || fail "$file has more than 600 lines"
    awk -v f="$file" 'length > 104 {print "lint: " f ":" FNR " has " length " letters"; e = 1} END {exit e}' "$file" >&2 || bad=1
done

# A header compiles alone; *_impl.h and those of an instruction set are parts of files that include them.
for file in $(echo "$own" | grep '\.h$' | grep -v -E '_(impl|avx2|avx512|neon)\.h$' | grep -v '^tests/'); do
    ${CC:-cc} $flags -fsyntax-only -x c "$file" 2>/dev/null || fail "$file does not compile alone"
done

clang-format --dry-run --Werror $own >/dev/null 2>&1 || {
    for file in $own; do
        clang-format --dry-run --Werror "$file" >/dev/null 2>&1 || fail "$file: make format"
    done
}

cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --error-exitcode=1 -D_POSIX_C_SOURCE=200809L -I. \
    core quantize formats model calib eval tools || bad=1

# Once a file: given several, clang-tidy 14 reports what is not there.
echo "$own" | grep '\.c$' | grep -v -E '_(avx2|avx512|neon|dotprod)\.c$|^tests/' |
    xargs -P "$(nproc)" -n 1 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$0" -- '"$flags"' 2>/dev/null || exit 255' || bad=1

mandoc -T lint -W warning tools/man/*.1 || bad=1
exit $bad
