#!/bin/sh
# Debian 12: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
set -eu
cd "$(dirname "$0")"
clang --target=wasm32-wasi -O2 -flto -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -ffp-contract=off -mbulk-memory -msign-ext \
  -Wl,--strip-all -o ../similar.wasm similar.c png.c inflate.c -lm
