#!/bin/sh
# Compiles the tracer to WebAssembly (WASI preview 1). Debian 12: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
set -eu
cd "$(dirname "$0")"
clang --target=wasm32-wasi -O3 -flto -std=c11 -Wall -Wextra -Werror \
  -ffp-contract=off -fno-math-errno -mbulk-memory -msign-ext \
  -Wl,--strip-all -Wl,--lto-O3 -Wl,-z,stack-size=262144 \
  -o tracer.wasm src/main.c src/film.c src/trace.c src/surface.c src/lights.c src/scene.c src/mesh.c src/texture.c src/air.c src/bvh.c -lm
