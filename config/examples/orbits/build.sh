#!/bin/sh
# Debian 12: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
set -eu
cd "$(dirname "$0")"
for program in orbits tolerance; do
  clang --target=wasm32-wasi -O2 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -mbulk-memory -msign-ext -ffp-contract=off \
    -Wl,--strip-all -o $program.wasm $program.c
done
