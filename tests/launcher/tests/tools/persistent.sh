# SPDX-License-Identifier: MIT OR Apache-2.0
# An object is made persistent, used and removed.
handle=0x81010001
tpm2_evictcontrol -Q -C o -c ecc.ctx $handle
tpm2_getcap handles-persistent | grep -q $handle
tpm2_sign -Q -c $handle -g sha256 -s ecdsa -o persistent.sig message
tpm2_verifysignature -Q -c ecc.ctx -g sha256 -s persistent.sig -m message
tpm2_evictcontrol -Q -C o -c $handle
refused tpm2_sign -Q -c $handle -g sha256 -s ecdsa -o persistent.sig message
