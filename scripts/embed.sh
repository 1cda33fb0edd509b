#!/bin/sh
# scripts/embed.sh FILE NAME: prints C that defines the file's bytes as NAME and NAME_size.
set -eu
echo '#include <stddef.h>'
echo '#include <stdint.h>'
echo "extern const uint8_t $2[];"
echo "extern const size_t $2_size;"
echo "const uint8_t $2[] = {"
od -An -v -tx1 "$1" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
echo '};'
echo "const size_t $2_size = sizeof $2;"
