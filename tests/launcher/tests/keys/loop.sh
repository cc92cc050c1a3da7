# SPDX-License-Identifier: MIT OR Apache-2.0
# Creates COUNT RSA-2048 keys, with pauses that are shorter than making one takes, so that the pool
# runs dry.
set -eu
tpm2_createprimary -Q -C o -G ecc -c /tmp/parent.ctx
seen=""
n=0
while [ $n -lt "$COUNT" ]; do
    tpm2_create -Q -C /tmp/parent.ctx -G rsa2048 -u /tmp/key.pub -r /tmp/key.priv
    digest=$(sha256sum /tmp/key.pub | cut -d' ' -f1)
    case $seen in *"$digest"*) echo "the same key twice" >&2; exit 1 ;; esac
    seen="$seen $digest"
    n=$((n + 1))
    sleep 0.05
done
echo "$n keys"
