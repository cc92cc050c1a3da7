#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the test vectors of this folder with Python's hashlib and the `cryptography` package.

The two are independent of the code under test. Run in this folder: `python3 generate.py`; the
output is the same every time. Vectors of standards bodies stand in the tests themselves or in
files that this program doesn't write.
"""

import hashlib
import hmac
import math
import random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as padding_module
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
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


class Curve:
    """Textbook arithmetic on y^2 = x^3 + ax + b, for schemes that no package has."""

    def __init__(self, number, p, a, b, x, y, n):
        self.number, self.p, self.a, self.b, self.n = number, p, a, b, n
        self.generator = (x, y)
        self.size = (p.bit_length() + 7) // 8

    def add(self, one, other):
        if one is None or other is None:
            return one or other
        (x1, y1), (x2, y2) = one, other
        if x1 == x2 and (y1 + y2) % self.p == 0:
            return None
        if one == other:
            slope = (3 * x1 * x1 + self.a) * pow(2 * y1, -1, self.p)
        else:
            slope = (y2 - y1) * pow(x2 - x1, -1, self.p)
        x = (slope * slope - x1 - x2) % self.p
        return x, (slope * (x1 - x) - y1) % self.p

    def multiply(self, factor, point):
        result = None
        for bit in f"{factor:b}":
            result = self.add(result, result)
            if bit == "1":
                result = self.add(result, point)
        return result

    def pair(self):
        private = int.from_bytes(some(self.size + 8), "big") % (self.n - 1) + 1
        return private, self.multiply(private, self.generator)

    def wide(self, value):
        return value.to_bytes(self.size, "big")


CURVES = [
    Curve(
        0x0003, 2**256 - 2**224 + 2**192 + 2**96 - 1, -3,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    Curve(
        0x0004, 2**384 - 2**128 - 2**96 + 2**32 - 1, -3,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
    Curve(
        0x0005, 2**521 - 1, -3,
        0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
        0x00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66,
        0x011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650,
        2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    ),
    Curve(
        0x0020, 2**256 - 2**224 - 2**96 + 2**64 - 1, -3,
        0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
        0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
        0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
        0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123,
    ),
]
NIST = {0x0003: ec.SECP256R1(), 0x0004: ec.SECP384R1(), 0x0005: ec.SECP521R1()}


def point(curve, value, x="x", y="y"):
    return {x: curve.wide(value[0]), y: curve.wide(value[1])}


def ecc_key():
    for curve in CURVES:
        for private in [1, 2, 3, 0x10000, curve.n - 2, curve.pair()[0], curve.pair()[0]]:
            public = curve.multiply(private, curve.generator)
            yield {"curve": f"{curve.number:04x}", "d": curve.wide(private)} | point(curve, public)


def ecdh():
    for curve in CURVES:
        for _ in range(3):
            private, (_, public) = curve.pair()[0], curve.pair()
            shared = curve.multiply(private, public)[0]
            if curve.number in NIST:
                ours = ec.derive_private_key(private, NIST[curve.number])
                theirs = ec.EllipticCurvePublicNumbers(*public, NIST[curve.number]).public_key()
                assert ours.exchange(ec.ECDH(), theirs) == curve.wide(shared)
            yield {
                "curve": f"{curve.number:04x}", "d": curve.wide(private),
                "z": curve.wide(shared),
            } | point(curve, public)


def ecdsa():
    for curve in CURVES[:3]:
        for name in ["sha1", "sha256", "sha384", "sha512", "sha3_512"]:
            private, public = curve.pair()
            key = ec.derive_private_key(private, NIST[curve.number])
            algorithm = dict(HASHES.values())[name]
            digest = hashlib.new(name, some(50)).digest()
            # Deterministic (RFC 6979), so that this program always writes the same.
            scheme = ec.ECDSA(Prehashed(algorithm), deterministic_signing=True)
            r, s = decode_dss_signature(key.sign(digest, scheme))
            for valid in ["yes", "no"]:
                yield {
                    "curve": f"{curve.number:04x}", "digest": digest, "r": curve.wide(r),
                    "s": curve.wide(s), "valid": valid,
                } | point(curve, public)
                digest = bytes([digest[0] ^ 1]) + digest[1:]


def schnorr():
    for curve in CURVES:
        for number in [0x0004, 0x000B, 0x000C, 0x000D]:
            (private, public), (nonce, commitment) = curve.pair(), curve.pair()
            digest = some(32)
            message = curve.wide(commitment[0]) + digest
            r = hashlib.new(HASHES[number][0], message).digest()[: curve.size]
            s = (nonce + int.from_bytes(r, "big") * private) % curve.n
            yield {
                "curve": f"{curve.number:04x}", "hash": f"{number:04x}", "digest": digest,
                "r": r.rjust(curve.size, b"\0"), "s": curve.wide(s),
            } | point(curve, public)


def sm2():
    curve = CURVES[3]
    for size in [20, 32, 48, 64]:
        (private, public), (nonce, commitment) = curve.pair(), curve.pair()
        digest = some(size)
        r = (int.from_bytes(digest, "big") + commitment[0]) % curve.n
        s = pow(1 + private, -1, curve.n) * (nonce - r * private) % curve.n
        yield {"digest": digest, "r": curve.wide(r), "s": curve.wide(s)} | point(curve, public)


def mqv():
    for curve in CURVES:
        (ds, _), (de, own), (_, fixed), (_, ephemeral) = (curve.pair() for _ in range(4))
        half = 1 << ((curve.n.bit_length() + 1) // 2)
        factor = (de + (own[0] % half + half) * ds) % curve.n
        base = curve.add(ephemeral, curve.multiply(ephemeral[0] % half + half, fixed))
        yield (
            {"curve": f"{curve.number:04x}", "ds": curve.wide(ds), "de": curve.wide(de)}
            | point(curve, own, "ownX", "ownY")
            | point(curve, fixed, "staticX", "staticY")
            | point(curve, ephemeral, "ephemeralX", "ephemeralY")
            | {"z": curve.wide(curve.multiply(factor, base)[0])}
        )


class Drbg:
    """CTR_DRBG with AES-256, seeded as the derivation of primary objects seeds it (version 1)."""

    def __init__(self, primary_seed, name, data):
        fixed = b"MACADAMIA PRIMARY 1\0" + name + data + (384).to_bytes(4, "big")
        seed = hmac.new(primary_seed, b"\0\0\0\1" + fixed, "sha512").digest()[:48]
        self.key, self.v = b"\0" * 32, 0
        self.update(seed)

    def blocks(self, count):
        encryptor = Cipher(algorithms.AES(self.key), modes.ECB()).encryptor()
        counters = b""
        for _ in range(count):
            self.v = (self.v + 1) % (1 << 128)
            counters += self.v.to_bytes(16, "big")
        return encryptor.update(counters)

    def update(self, provided):
        stream = bytes(a ^ b for a, b in zip(self.blocks(3), provided))
        self.key, self.v = stream[:32], int.from_bytes(stream[32:], "big")

    def draw(self, size):
        output = self.blocks((size + 15) // 16)[:size]
        self.update(b"\0" * 48)
        return output


def derived_ecc():
    for curve in CURVES:
        for _ in range(2):
            seed, name, data = some(64), some(34), some(20)
            drbg, private = Drbg(seed, name, data), curve.n
            while private > curve.n - 1:
                draw = int.from_bytes(drbg.draw(curve.size), "big")
                private = draw % (1 << curve.n.bit_length()) + 1
            public = curve.multiply(private, curve.generator)
            yield {
                "curve": f"{curve.number:04x}", "seed": seed, "name": name, "data": data,
            } | point(curve, public)


SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


def is_prime(number):
    """Miller-Rabin with fixed bases; the numbers are not chosen by an adversary."""
    if any(number % prime == 0 for prime in SMALL_PRIMES):
        return False
    d, twos = number - 1, 0
    while d % 2 == 0:
        d, twos = d // 2, twos + 1
    for base in [2, 3, 5, 7, 11, 13, 17, 19]:
        x = pow(base, d, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True


def rsa_prime(draw, bits, exponent):
    """The rule of rsa/prime.rs, version 1."""
    while True:
        number = int.from_bytes(draw(bits // 8), "big") | 1 << (bits - 1) | 1
        large = number >> (bits - 64) > 0xB504F333F9DE6484
        if large and math.gcd(number - 1, exponent) == 1 and is_prime(number):
            return number


def wide(value, bits):
    return value.to_bytes(bits // 8, "big")


def derived_rsa():
    for bits, exponent in [(1024, 65537), (2048, 65537), (2048, 3), (3072, 65537)]:
        seed, name, data = some(64), some(34), some(8)
        drbg = Drbg(seed, name, data)
        p, q = (rsa_prime(drbg.draw, bits // 2, exponent) for _ in range(2))
        yield {
            "bits": bits, "exponent": exponent, "seed": seed, "name": name, "data": data,
            "p": wide(p, bits // 2), "n": wide(p * q, bits),
        }


KEYS = []


def rsa_keys():
    for bits, exponent in [(1024, 65537), (2048, 65537), (3072, 3), (4096, 65537), (2048, 4294967291)]:
        p, q = (rsa_prime(some, bits // 2, exponent) for _ in range(2))
        d = pow(exponent, -1, (p - 1) * (q - 1))
        private = rsa.RSAPrivateNumbers(
            p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p),
            rsa.RSAPublicNumbers(exponent, p * q),
        )
        KEYS.append(private)
        yield {
            "exponent": exponent, "n": wide(p * q, bits), "p": wide(p, bits // 2),
            "q": wide(q, bits // 2),
        }


def raw(key, message):
    """The private operation, without any padding of the package."""
    modulus = key.p * key.q
    return pow(int.from_bytes(message, "big"), key.d, modulus).to_bytes(
        (modulus.bit_length() + 7) // 8, "big"
    )


def rsassa():
    for number, key in enumerate(KEYS[:4]):
        for identifier in [0x0004, 0x000B, 0x000C, 0x000D, 0x0027, 0x0028, 0x0029, 0x0012]:
            name, algorithm = HASHES[identifier]
            digest = hashlib.new(name, some(9)).digest()
            if identifier == 0x0012:  # not offered by the package
                prefix = bytes.fromhex("3030300c06082a811ccf5501831105000420")
                size = KEYS[number].public_numbers.n.bit_length() // 8
                padding = b"\xff" * (size - 3 - len(prefix) - 32)
                signature = raw(key, b"\0\1" + padding + b"\0" + prefix + digest)
            else:
                signature = key.private_key().sign(
                    digest, padding_module.PKCS1v15(), Prehashed(algorithm)
                )
            yield {
                "key": number, "hash": f"{identifier:04x}", "digest": digest,
                "signature": signature,
            }


def mask(name, seed, size):
    blocks = (hashlib.new(name, seed + i.to_bytes(4, "big")).digest() for i in range(30))
    return b"".join(blocks)[:size]


def masked(name, seed, data):
    return bytes(a ^ b for a, b in zip(data, mask(name, seed, len(data))))


def pss():
    """By hand, since the package takes no salt from outside; it checks each signature."""
    for number, key in enumerate(KEYS[:4]):
        for identifier, salt_size in [(0x0004, 20), (0x000B, 32), (0x000B, 0), (0x000C, 5)]:
            name, algorithm = HASHES[identifier]
            digest = hashlib.new(name, some(9)).digest()
            salt = some(salt_size)
            size = KEYS[number].public_numbers.n.bit_length() // 8
            value = hashlib.new(name, b"\0" * 8 + digest + salt).digest()
            data = (b"\1" + salt).rjust(size - len(value) - 1, b"\0")
            data = masked(name, value, data)
            signature = raw(key, bytes([data[0] & 0x7F]) + data[1:] + value + b"\xbc")
            scheme = padding_module.PSS(padding_module.MGF1(algorithm), salt_size)
            public = key.public_numbers.public_key()
            public.verify(signature, digest, scheme, Prehashed(algorithm))
            yield {
                "key": number, "hash": f"{identifier:04x}", "digest": digest,
                "signature": signature,
            }


def encrypted_raw(number, message):
    public = KEYS[number].public_numbers
    size = public.n.bit_length() // 8
    return pow(int.from_bytes(message, "big"), public.e, public.n).to_bytes(size, "big")


def rsaes():
    for number, key in enumerate(KEYS[:4]):
        size = key.public_numbers.n.bit_length() // 8
        for message in [b"", some(32), some(size - 11)]:
            filler = bytes(byte % 255 + 1 for byte in some(size - 3 - len(message)))
            ciphertext = encrypted_raw(number, b"\0\2" + filler + b"\0" + message)
            opened = key.private_key().decrypt(ciphertext, padding_module.PKCS1v15())
            assert opened == message
            yield {"key": number, "message": message, "ciphertext": ciphertext}


def oaep():
    for number, key in enumerate(KEYS[:4]):
        size = key.public_numbers.n.bit_length() // 8
        for identifier, label in [(0x0004, b""), (0x000B, b"SECRET\0"), (0x000C, b"IDENTITY\0")]:
            name, algorithm = HASHES[identifier]
            digest_size = algorithm.digest_size
            message, seed = some(16), some(digest_size)
            data = hashlib.new(name, label).digest() + (b"\1" + message).rjust(
                size - 2 * digest_size - 1, b"\0"
            )
            data = masked(name, seed, data)
            ciphertext = encrypted_raw(number, b"\0" + masked(name, data, seed) + data)
            scheme = padding_module.OAEP(padding_module.MGF1(algorithm), algorithm, label)
            assert key.private_key().decrypt(ciphertext, scheme) == message
            yield {
                "key": number, "hash": f"{identifier:04x}", "label": label, "message": message,
                "ciphertext": ciphertext,
            }


if __name__ == "__main__":
    write("kdfa.txt", "KDFa.", kdfa())
    write("kdfe.txt", "KDFe.", kdfe())
    write("mgf1.txt", "MGF1.", mgf1())
    write("symmetric.txt", "Block ciphers in their modes.", symmetric())
    write("cmac.txt", "CMAC.", cmac())
    write("ecc_key.txt", "Private and public keys.", ecc_key())
    write("ecdh.txt", "ECDH.", ecdh())
    write("ecdsa.txt", "ECDSA.", ecdsa())
    write("schnorr.txt", "ECSchnorr as the TPM defines it.", schnorr())
    write("sm2.txt", "SM2 signatures.", sm2())
    write("mqv.txt", "Full MQV.", mqv())
    write("derived_ecc.txt", "Primary ECC keys.", derived_ecc())
    write("rsa_keys.txt", "RSA keys.", rsa_keys())
    write("rsassa.txt", "RSASSA-PKCS1-v1_5.", rsassa())
    write("pss.txt", "RSASSA-PSS.", pss())
    write("rsaes.txt", "RSAES-PKCS1-v1_5.", rsaes())
    write("oaep.txt", "RSAES-OAEP.", oaep())
    write("derived_rsa.txt", "Primary RSA keys.", derived_rsa())
