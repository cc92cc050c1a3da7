#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes RSA keys with the OpenSSL that is installed, for examples/keys.rs to compare with.

First prints its version; then, for every line with a length in bits, makes a key and prints the
CPU time of that in nanoseconds.
"""

import ctypes
import ctypes.util
import sys
import time

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
crypto.OpenSSL_version.restype = ctypes.c_char_p
crypto.EVP_PKEY_Q_keygen.restype = ctypes.c_void_p
crypto.EVP_PKEY_free.argtypes = [ctypes.c_void_p]

print(crypto.OpenSSL_version(0).decode(), flush=True)
for line in sys.stdin:
    bits = ctypes.c_size_t(int(line))
    begin = time.thread_time_ns()
    key = crypto.EVP_PKEY_Q_keygen(None, None, b"RSA", bits)
    elapsed = time.thread_time_ns() - begin
    if not key:
        sys.exit("OpenSSL makes no such key")
    crypto.EVP_PKEY_free(key)
    print(elapsed, flush=True)
