#!/bin/sh
# Debian 12: apt-get install clang lld
set -eu
cd "$(dirname "$0")"
clang --target=wasm32-unknown-unknown -Os -std=c11 -Wall -Wextra -Werror -nostdlib -ffreestanding -mbulk-memory -msign-ext \
  -Wl,--strip-all -Wl,--export=_start -Wl,-z,stack-size=8192 -o hello.wasm hello.c
