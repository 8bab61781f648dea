#!/bin/sh
# Compiles SQLite and sql.c to WebAssembly. usage: build.sh [FOLDER], where FOLDER is kept and holds (or gets) sqlite3.c.
# Debian 12: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32, and what fetch-sqlite.sh names
set -eu
cd "$(dirname "$0")"
folder=${1:-$(mktemp -d)}
[ -f "$folder/sqlite3.c" ] || ./fetch-sqlite.sh "$folder"
clang --target=wasm32-wasi -Os -flto -std=c11 -D_GNU_SOURCE -Wall -Wextra -mbulk-memory -msign-ext -ffp-contract=off -I"$folder" \
  -DSQLITE_OS_OTHER=1 -DSQLITE_THREADSAFE=0 -DSQLITE_TEMP_STORE=3 -DSQLITE_OMIT_WAL -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_LOCALTIME \
  -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_DQS=0 -DSQLITE_DEFAULT_MEMSTATUS=0 \
  -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_MAX_MMAP_SIZE=0 \
  -Wl,--strip-all -Wl,-z,stack-size=1048576 -o sql.wasm sql.c -Wno-unused-parameter -Wno-unused-but-set-variable -Wno-unused-function "$folder/sqlite3.c"
