#!/bin/sh
# Builds init.c.
#   build.sh                  both processors into init-binaries.ts (needs gcc and aarch64-linux-gnu-gcc, Debian's packages)
#   build.sh ARCH OUT [FLAG]  one (x64 or arm64) into the file OUT
set -eu
cd "$(dirname "$0")"
compiler() { case "$1" in x64) echo "${CC_X64:-x86_64-linux-gnu-gcc}" ;; arm64) echo "${CC_ARM64:-aarch64-linux-gnu-gcc}" ;; *) echo "no such processor: $1" >&2; exit 2 ;; esac; }
build() {
  arch=$1; out=$2; shift 2
  "$(compiler "$arch")" -Os -std=c11 -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident -fno-tree-loop-distribute-patterns -fomit-frame-pointer \
    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,noexecstack -Wl,-z,max-page-size=65536 -s "$@" -o "$out" init.c
}
if [ $# -ge 2 ]; then build "$@"; exit; fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
{
  echo "/** Built by build.sh from init.c: change that, not this. Base64 in a module, so that it is in every package of ours. */"
  echo "export const INIT_COMPILERS = {"
  for arch in x64 arm64; do echo "  $arch: '$("$(compiler $arch)" --version | head -n 1)'$([ $arch = x64 ] && echo ,)"; done
  echo "} as const"
  echo
  echo "export const INIT_BINARIES = {"
  for arch in x64 arm64; do
    build $arch "$dir/$arch"
    echo "  $arch: '$(base64 -w 0 "$dir/$arch")'$([ $arch = x64 ] && echo ,)"
  done
  echo "} as const"
} > "$dir/init-binaries.ts"
cat "$dir/init-binaries.ts" > init-binaries.ts
