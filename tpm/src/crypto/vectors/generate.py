#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the test vectors of this folder with Python's hashlib and the `cryptography` package.

The two are independent of the code under test. Run in this folder: `python3 generate.py`; the
output is the same every time. Vectors of standards bodies stand in the tests themselves or in
files that this program doesn't write.
"""

import hashlib
import hmac
import random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import Camellia
except ImportError:
    Camellia = algorithms.Camellia
try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB, OFB
except ImportError:
    CFB, OFB = modes.CFB, modes.OFB

RANDOM = random.Random(0x6D616361)
HASHES = {
    0x0004: ("sha1", hashes.SHA1()),
    0x000B: ("sha256", hashes.SHA256()),
    0x000C: ("sha384", hashes.SHA384()),
    0x000D: ("sha512", hashes.SHA512()),
    0x0012: ("sm3", hashes.SM3()),
    0x0027: ("sha3_256", hashes.SHA3_256()),
    0x0028: ("sha3_384", hashes.SHA3_384()),
    0x0029: ("sha3_512", hashes.SHA3_512()),
}
CIPHERS = {0x0006: algorithms.AES, 0x0013: algorithms.SM4, 0x0026: Camellia}
MODES = {
    0x0040: modes.CTR,
    0x0041: OFB,
    0x0042: modes.CBC,
    0x0043: CFB,
    0x0044: lambda _: modes.ECB(),
}


def some(count):
    """That many bytes."""
    return RANDOM.randbytes(count)


def write(name, about, records):
    """One record per dictionary, a blank line between records."""
    with open(name, "w", encoding="ascii") as file:
        file.write("# SPDX-License-Identifier: MIT OR Apache-2.0\n")
        file.write(f"# {about} Written by generate.py.\n")
        for record in records:
            file.write("\n")
            for field, value in record.items():
                text = value.hex() if isinstance(value, bytes) else value
                file.write(f"{field} = {text}\n".replace(" \n", "\n"))


def kdfa_by_hand(name, key, label, context, bits):
    """SP 800-108 for a number of bits that is no multiple of 8, as the TPM defines it."""
    size = (bits + 7) // 8
    output, counter = b"", 1
    while len(output) < size:
        message = counter.to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big")
        output += hmac.new(key, message, name).digest()
        counter += 1
    first = output[0] & ((1 << (bits % 8)) - 1)
    return bytes([first]) + output[1:size]


def kdfa():
    for number, (name, algorithm) in HASHES.items():
        for bits, label in [(128, "CFB"), (256, "STORAGE"), (2048, "INTEGRITY"), (521, "ODD")]:
            key, u, v = some(32), some(20), some(16)
            if bits % 8:
                output = kdfa_by_hand(name, key, label.encode(), u + v, bits)
            else:
                output = KBKDFHMAC(
                    algorithm, Mode.CounterMode, bits // 8, 4, 4, CounterLocation.BeforeFixed,
                    label.encode(), u + v, None,
                ).derive(key)
            yield {
                "hash": f"{number:04x}", "key": key, "label": label, "contextU": u,
                "contextV": v, "bits": bits, "output": output,
            }


def kdfe():
    for number, (_, algorithm) in HASHES.items():
        for bits, use in [(256, "SECRET"), (128, "DUPLICATE"), (1024, "IDENTITY")]:
            z, u, v = some(48), some(48), some(48)
            info = use.encode() + b"\0" + u + v
            output = ConcatKDFHash(algorithm, bits // 8, info).derive(z)
            yield {
                "hash": f"{number:04x}", "z": z, "use": use, "partyU": u, "partyV": v,
                "bits": bits, "output": output,
            }


def mgf1():
    for number, (name, _) in HASHES.items():
        for size in [1, 20, 64, 223]:
            seed = some(size // 2)
            blocks = (hashlib.new(name, seed + i.to_bytes(4, "big")).digest() for i in range(20))
            yield {"hash": f"{number:04x}", "seed": seed, "output": b"".join(blocks)[:size]}


def encrypted(cipher, mode, iv, plain):
    """The ciphertext; counter mode by hand, since not every cipher has it in the package."""
    if mode is not modes.CTR:
        encryptor = Cipher(cipher, mode(iv)).encryptor()
        return encryptor.update(plain) + encryptor.finalize()
    first, blocks = int.from_bytes(iv, "big"), len(plain) // 16 + 1
    counters = b"".join(((first + i) % (1 << 128)).to_bytes(16, "big") for i in range(blocks))
    stream = Cipher(cipher, modes.ECB()).encryptor().update(counters)
    return bytes(a ^ b for a, b in zip(plain, stream))


def symmetric():
    for number, cipher in CIPHERS.items():
        for bits in [128] if number == 0x0013 else [128, 192, 256]:
            for mode_number, mode in MODES.items():
                sizes = [16, 112] if mode_number in (0x0042, 0x0044) else [5, 16, 83, 128]
                for size in sizes:
                    key, iv, plain = some(bits // 8), some(16), some(size)
                    if size == 83:
                        iv = b"\xff" * 15 + b"\xfe"  # the counter runs over
                    yield {
                        "algorithm": f"{number:04x}", "mode": f"{mode_number:04x}", "key": key,
                        "iv": iv, "plain": plain,
                        "cipher": encrypted(cipher(key), mode, iv, plain),
                    }


def cmac():
    for number, cipher in CIPHERS.items():
        for bits in [128] if number == 0x0013 else [128, 256]:
            for size in [0, 15, 16, 17, 100]:
                key, message = some(bits // 8), some(size)
                mac = CMAC(cipher(key))
                mac.update(message)
                yield {
                    "algorithm": f"{number:04x}", "key": key, "message": message,
                    "mac": mac.finalize(),
                }


if __name__ == "__main__":
    write("kdfa.txt", "KDFa.", kdfa())
    write("kdfe.txt", "KDFe.", kdfe())
    write("mgf1.txt", "MGF1.", mgf1())
    write("symmetric.txt", "Block ciphers in their modes.", symmetric())
    write("cmac.txt", "CMAC.", cmac())
