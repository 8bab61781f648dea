#!/bin/sh
# Makes data/*.csv from Debian's package unicode-data (15.0.0): ranges of code points, in decimal, both ends included.
set -eu
cd "$(dirname "$0")"
ranges() {
  awk -v columns="$2" -F'[;#]' '
    BEGIN { print columns }
    # mawk has no strtonum
    function hex(s,  i, n) { n = 0; for (i = 1; i <= length(s); i++) n = n * 16 + index("0123456789ABCDEF", substr(s, i, 1)) - 1; return n }
    function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    /^[0-9A-F]/ {
      range = trim($1); value = trim($2); split(trim($3), extra, " "); last = range; sub(/^.*\.\./, "", last); sub(/\.\..*$/, "", range)
      if (value ~ /,/) value = "\"" value "\""
      print hex(range) "," hex(last) "," value (columns ~ /category/ ? "," extra[1] : "")
    }' "/usr/share/unicode/$1"
}
ranges Scripts.txt first,last,script,category > data/scripts.csv
ranges DerivedAge.txt first,last,version > data/ages.csv
ranges Blocks.txt first,last,block > data/blocks.csv
