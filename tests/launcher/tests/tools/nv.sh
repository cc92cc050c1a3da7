# SPDX-License-Identifier: MIT OR Apache-2.0
# An NV index keeps what is written, for those who know its password.
index=0x1500001
attributes='ownerread|ownerwrite|authread|authwrite'
tpm2_nvdefine -Q $index -C o -s 64 -a "$attributes" -p word
printf '%064d' 7 >data
tpm2_nvwrite -Q $index -C $index -P word -i data
tpm2_nvread $index -C $index -P word -s 64 >read
cmp data read
refused tpm2_nvread $index -C $index -P wrong -s 64
tpm2_nvundefine -Q $index -C o
refused tpm2_nvread $index -C o -s 64
tpm2_dictionarylockout --clear-lockout
