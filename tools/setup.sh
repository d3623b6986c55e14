#!/bin/sh
# Installs what quern needs and is not there yet:  setup.sh build [tests] [lint] [neon]
# With apt-get it installs (as root, or through sudo) and says what; elsewhere it prints the list.
# One line a need: group, a command or header that shows it is there, then its package for
# apt-get, dnf, pacman and brew.
needs() {
    cat <<'END'
build cc            gcc                gcc              gcc       gcc
build make          make               make             make      make
build jansson.h     libjansson-dev     jansson-devel    jansson   jansson
build pcre2.h       libpcre2-dev       pcre2-devel      pcre2     pcre2
build cblas.h       libopenblas-dev    openblas-devel   openblas  openblas
build utf8proc.h    libutf8proc-dev    utf8proc-devel   libutf8proc utf8proc
build pkg-config    pkg-config         pkgconf          pkgconf   pkgconf
build hdf5.h        libhdf5-dev        hdf5-devel       hdf5      hdf5
build nettle/sha2.h nettle-dev         nettle-devel     nettle    nettle
build lapacke.h     liblapacke-dev     lapack-devel     lapacke   lapack
tests cmocka.h      libcmocka-dev      libcmocka-devel  cmocka    cmocka
tests prove         perl               perl-Test-Harness perl     perl
tests python3       python3            python3          python    python3
tests venv          python3-venv       python3          python    python3
lint  clang         clang              clang            clang     llvm
lint  libfuzzer     libclang-rt-14-dev compiler-rt      compiler-rt llvm
lint  clang-tidy    clang-tidy         clang-tools-extra clang    llvm
lint  clang-format  clang-format       clang-tools-extra clang    clang-format
lint  cppcheck      cppcheck           cppcheck         cppcheck  cppcheck
lint  mandoc        mandoc             mandoc           mandoc    mandoc
neon  aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc -
neon  qemu-aarch64  qemu-user          qemu-user        qemu-user -
END
}

have() {
    case $1 in
    hdf5.h) pkg-config --exists hdf5 2>/dev/null ;;
    *.h) printf '#include <stddef.h>\n#include <stdarg.h>\n#include <stdint.h>\n#include <setjmp.h>\n#define PCRE2_CODE_UNIT_WIDTH 8\n#include <%s>\n' "$1" |
        ${CC:-cc} -E -x c - >/dev/null 2>&1 ;;
    venv) python3 -c 'import ensurepip' >/dev/null 2>&1 ;;
    libfuzzer) printf 'int LLVMFuzzerTestOneInput(const unsigned char*d,unsigned long n){return d&&n?0:0;}' |
        clang -fsanitize=fuzzer -x c - -o /dev/null >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

column=''
for pair in apt-get:3 dnf:4 pacman:5 brew:6; do
    command -v "${pair%:*}" >/dev/null 2>&1 && column=${pair#*:} && manager=${pair%:*} && break
done

missing=''
for group in "$@"; do
    for need in $(needs | awk -v g="$group" '$1 == g {print $2}'); do
        have "$need" || missing="$missing $(needs | awk -v n="$need" -v c="${column:-3}" '$2 == n {print $c}')"
    done
done
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing% }" ] || exit 0

if [ "${manager:-}" != apt-get ]; then
    echo "quern needs these packages first: $missing" >&2
    case "${manager:-}" in
    dnf) echo "  sudo dnf install $missing" >&2 ;;
    pacman) echo "  sudo pacman -S $missing" >&2 ;;
    brew) echo "  brew install $missing" >&2 ;;
    *) echo "  (these are Debian's names)" >&2 ;;
    esac
    exit 1
fi

as_root=''
[ "$(id -u)" = 0 ] || as_root=sudo
for package in $missing; do
    echo "setup: installing $package"
done
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq && $as_root apt-get install -y -qq $missing >/dev/null
