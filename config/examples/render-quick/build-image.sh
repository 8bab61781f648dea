#!/bin/sh
# Makes image.tar: POV-Ray and what it needs, of Debian's packages.
set -eu
cd "$(dirname "$0")"
../images/build-debian.sh "${1:-image.tar}" povray
