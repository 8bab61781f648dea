#!/bin/sh
# Makes image.tar: the program, compiled here, and Debian's C library. Debian 12: apt-get install gcc libc6-dev
set -eu
cd "$(dirname "$0")"
out=${1:-image.tar}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/usr/bin"
${CC:-cc} -O2 -std=gnu11 -Wall -Wextra -Werror -s -o "$folder/usr/bin/mandelbrot" mandelbrot.c -ldl
../images/build-debian.sh --add "$folder" "$out" libc6
