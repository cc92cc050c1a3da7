# SPDX-License-Identifier: MIT OR Apache-2.0
# A quote is checked with the nonce that it was asked for, and a credential reaches its key only.
tpm2_createek -Q -c ek.ctx -G rsa -u ek.pem -f pem
tpm2_createak -Q -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.pem -f pem -n ak.name
tpm2_quote -Q -c ak.ctx -l sha256:0,8,16 -q 0badcafe -m quote -s quote.sig -o quote.pcrs
check='tpm2_checkquote -Q -u ak.pem -m quote -s quote.sig -f quote.pcrs -g sha256'
$check -q 0badcafe
refused $check -q 0badcaff

echo secret >secret
name=$(xxd -p -c 100 ak.name)
tpm2_makecredential -Q -u ek.pem -s secret -n "$name" -o credential -G rsa
tpm2_startauthsession --policy-session -S session.ctx
tpm2_policysecret -Q -S session.ctx -c e
tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -P session:session.ctx -i credential -o opened
tpm2_flushcontext session.ctx
cmp secret opened
