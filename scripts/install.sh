#!/bin/sh
# scripts/install.sh PREFIX: copies the release build and what module and client authors need.
set -eu
cd "$(dirname "$0")/.."
prefix=$1
program=build/release/lightcone

install -D -m 755 "$program" "$prefix/bin/lightcone"
install -D -m 644 LICENSE "$prefix/share/doc/lightcone/LICENSE"

# Folder by folder, keeping what lies below.
copy() { # from, to
    [ -d "$1" ] || return 0
    (cd "$1" && find . -type f) | while read -r file; do
        install -D -m 644 "$1/$file" "$2/$file"
    done
}
copy include/lightcone "$prefix/include/lightcone"
copy sdk "$prefix/share/lightcone/sdk"
copy examples "$prefix/share/lightcone/examples"
echo "Installed under $prefix"
