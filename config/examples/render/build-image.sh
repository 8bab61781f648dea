#!/bin/sh
# Makes image.tar.gz: Blender and what it needs, of Debian's packages. A download of 270 MB.
set -eu
cd "$(dirname "$0")"
../images/build-debian.sh "${1:-image.tar.gz}" blender
