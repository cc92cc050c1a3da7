# SPDX-License-Identifier: MIT OR Apache-2.0
# What is sealed to a PCR's value opens at that value only, and not without the policy.
tpm2_pcrreset 16
tpm2_createpolicy -Q --policy-pcr -l sha256:16 -L pcr.policy
printf 'the key of a disk' |
    tpm2_create -Q -C primary.ctx -L pcr.policy -i - -u seal.pub -r seal.priv
tpm2_load -Q -C primary.ctx -u seal.pub -r seal.priv -c seal.ctx
test "$(tpm2_unseal -c seal.ctx -p pcr:sha256:16)" = 'the key of a disk'
refused tpm2_unseal -c seal.ctx
tpm2_pcrextend "16:sha256=$(printf '%064d' 1)"
refused tpm2_unseal -c seal.ctx -p pcr:sha256:16
