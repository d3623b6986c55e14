#!/bin/sh
# root.sh FOLDER: the root of an AArch64 machine, for the cross compiler and for qemu: the libraries
# that tools/setup.sh names, from Debian.  Nothing else of this machine changes.
set -e
root=$1 apt=$1.apt
packages=$(awk '($1 == "build" || $1 == "tests") && $2 ~ /\.h$/ {print $3}' tools/setup.sh)
[ "$packages" != "$(cat "$root/packages" 2>/dev/null)" ] || exit 0
command -v apt-get >/dev/null || { echo "neon: this takes Debian's packages" >&2; exit 1; }

rm -rf "$root" "$apt"
mkdir -p "$root" "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"
get() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=0 \
        -o Dir::State::Lists="$PWD/$apt/lists" -o Dir::State::Status="$PWD/$apt/status" \
        -o Dir::Cache="$PWD/$apt" -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@"
}
echo "neon: fetching libraries for AArch64 into $root:" $packages
get update
get install --download-only -y $packages >/dev/null
for package in "$apt"/archives/*.deb; do
    dpkg -x "$package" "$root"
done
rm -rf "$apt"

# The links that installing them would make.
(cd "$root/usr/include/aarch64-linux-gnu" && ln -s openblas-pthread/*.h .)
(cd "$root/usr/lib/aarch64-linux-gnu" && ln -s openblas-pthread/lib* . && ln -s hdf5-serial.pc pkgconfig/hdf5.pc)
echo "$packages" >"$root/packages"
