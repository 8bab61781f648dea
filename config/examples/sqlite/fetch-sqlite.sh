#!/bin/sh
# Makes SQLite's one-file form from Debian's source package: FOLDER/sqlite3.c and sqlite3.h.
# Debian 12: apt-get install dpkg-dev tcl gcc make. The machine's own package sources are used, with their source halves
# switched on for this one call only.
set -eu
folder=$1
mkdir -p "$folder/lists/partial" "$folder/sources"
for file in /etc/apt/sources.list.d/*.sources; do sed 's/^Types:.*/Types: deb-src/' "$file" > "$folder/sources/$(basename "$file")"; done
[ ! -s /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list > "$folder/sources/all.list"
apt() { apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$folder/sources" -o Dir::State::Lists="$folder/lists" -o APT::Sandbox::User=root "$@"; }
apt update
cd "$folder"
apt source sqlite3
cd sqlite3-3.*/
./configure --disable-shared --disable-readline > /dev/null
make -s sqlite3.c > /dev/null
cp sqlite3.c sqlite3.h "$folder"
