# SPDX-License-Identifier: MIT OR Apache-2.0
# Creates RSA-2048 keys by commands of its own, which come faster than a service vCPU makes keys,
# until one was not ready. Prints how many it took.
import os
import struct
import sys

CREATE_PRIMARY, CREATE, GET_CAPABILITY = 0x131, 0x153, 0x17A
NO_SESSIONS, SESSIONS = 0x8001, 0x8002
OWNER, VENDOR_PROPERTY = 0x40000001, 0x100
# How often no RSA-2048 key was ready (svsm/src/vtpm/counters.rs).
MISSED = 0x1003
EMPTY_PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
EMPTY_SENSITIVE = struct.pack(">HHH", 4, 0, 0)
# Attributes of a storage key and of a signing key.
PARENT = struct.pack(">HHIHHHHHHHHH", 0x23, 0xB, 0x30472, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0)
KEY = struct.pack(">HHIHHHHIH", 1, 0xB, 0x40072, 0, 0x10, 0x10, 2048, 0, 0)
KEYS_MAX = 100

tpm = os.open("/dev/tpmrm0", os.O_RDWR)


def execute(tag, code, body):
    os.write(tpm, struct.pack(">HII", tag, 10 + len(body), code) + body)
    response = os.read(tpm, 4096)
    if response[6:10] != bytes(4):
        sys.exit("command %#x: %s" % (code, response.hex()))
    return response[10:]


def create(code, handle, template):
    public = struct.pack(">H", len(template)) + template
    body = struct.pack(">I", handle) + EMPTY_PASSWORD + EMPTY_SENSITIVE + public
    return execute(SESSIONS, code, body + bytes(2 + 4))


def missed():
    body = struct.pack(">III", VENDOR_PROPERTY, MISSED, 1)
    return struct.unpack(">I", execute(NO_SESSIONS, GET_CAPABILITY, body)[-4:])[0]


parent = struct.unpack(">I", create(CREATE_PRIMARY, OWNER, PARENT)[:4])[0]
keys = 0
while missed() == 0 and keys < KEYS_MAX:
    create(CREATE, parent, KEY)
    keys += 1
print(keys)
