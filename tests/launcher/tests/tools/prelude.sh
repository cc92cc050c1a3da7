# SPDX-License-Identifier: MIT OR Apache-2.0
# What every script here starts with: the first command that fails ends it, and is shown.
set -ex
mkdir -p /tmp/keys
cd /tmp/keys

# refused COMMAND…: what must fail.
refused() {
    if "$@" 2>/dev/null; then
        echo "not refused: $*" >&2
        return 1
    fi
}
