# SPDX-License-Identifier: MIT OR Apache-2.0
# Keys sign and verify.
tpm2_createprimary -Q -C o -G ecc -c primary.ctx
echo message >message
echo Message >other
for kind in rsa2048:rsassa ecc:ecdsa; do
    key=${kind%:*}
    scheme=${kind#*:}
    tpm2_create -Q -C primary.ctx -G "$key" -u "$key.pub" -r "$key.priv"
    tpm2_load -Q -C primary.ctx -u "$key.pub" -r "$key.priv" -c "$key.ctx"
    tpm2_sign -Q -c "$key.ctx" -g sha256 -s "$scheme" -o "$key.sig" message
    tpm2_verifysignature -Q -c "$key.ctx" -g sha256 -s "$key.sig" -m message
    refused tpm2_verifysignature -Q -c "$key.ctx" -g sha256 -s "$key.sig" -m other
done
