# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks a guest's evidence by implementations that aren't ours.

`tests/cross-check/evidence` tells the arguments.

X.509, ECDSA and RSA are those of `cryptography`, which uses OpenSSL; the launch digest is that of
sev-snp-measure (compare.py); the report is taken apart by AMD 56860, table 23, with nothing of this
project's. Then copies are tampered with, and each must be refused by the check that is meant to.
"""

import contextlib
import hashlib
import io
import struct
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import compare
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

REPORT_BYTES, SIGNED_BYTES, SCALAR_BYTES = 0x4A0, 0x2A0, 72
ECDSA_P384_SHA384 = 1
VCEK = "63da758d-e664-4564-adc5-f4b93be8accd"
ASK = "4ab7b379-bbac-4fe4-a02f-05aef327c782"
ARK = "c0b406a4-a803-4952-9743-3fb6014cd0ae"


class Refused(Exception):
    """Why evidence isn't believed."""


@dataclass(frozen=True)
class Evidence:
    """Certificates in DER, from the root on; data and digest are `None` where nobody knows them."""

    chain: tuple
    report: bytes
    data: bytes = None
    launch_digest: bytes = None


def mixed_endian(guid):
    first, second, third, *rest = guid.split("-")
    return struct.pack("<IHH", int(first, 16), int(second, 16), int(third, 16)) + bytes.fromhex(
        "".join(rest)
    )


def certificates_of(table):
    """The table of an extended guest request (AMD 56421, 4.1.8.1)."""
    found = {}
    for place in range(0, len(table) - 23, 24):
        guid, offset, length = struct.unpack_from("<16sII", table, place)
        if guid == bytes(16):
            return tuple(found[mixed_endian(name)] for name in (ARK, ASK, VCEK))
        found[guid] = table[offset : offset + length]
    raise Refused("the table has no end")


def check_chain(chain):
    """The chip's key."""
    try:
        ark, ask, vcek = map(x509.load_der_x509_certificate, chain)
        for subject, issuer in ((ark, ark), (ask, ark), (vcek, ask)):
            subject.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature) as error:
        raise Refused("chain") from error
    names = [part.subject.rfc4514_string().split(",")[0] for part in (ark, ask, vcek)]
    print("  chain     ", " > ".join(names))
    return vcek.public_key()


def check_signature(report, key):
    (algorithm,) = struct.unpack_from("<I", report, 0x34)
    if len(report) != REPORT_BYTES or algorithm != ECDSA_P384_SHA384:
        raise Refused("not a report")
    r, s = (
        int.from_bytes(report[place : place + SCALAR_BYTES], "little")
        for place in (SIGNED_BYTES, SIGNED_BYTES + SCALAR_BYTES)
    )
    try:
        signature = encode_dss_signature(r, s)
        key.verify(signature, report[:SIGNED_BYTES], ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise Refused("signature") from error
    version, svn = struct.unpack_from("<II", report)
    print(f"  signature  ECDSA P-384 by the VCEK; report version {version}, SVN {svn}")


def check_launch(evidence):
    report = evidence.report
    (policy,) = struct.unpack_from("<Q", report, 0x08)
    (vmpl,) = struct.unpack_from("<I", report, 0x30)
    digest = report[0x90:0xC0]
    if policy >> 19 & 1:
        raise Refused("the host may debug this guest")
    if vmpl != 0:
        raise Refused("not about VMPL0")
    if evidence.launch_digest not in (None, digest):
        raise Refused("another image")
    whose = "" if evidence.launch_digest is None else ", sev-snp-measure's of the image"
    print(f"  launch     VMPL0, policy {policy:#x}, digest {digest.hex()[:16]}…{whose}")


def check(evidence):
    key = check_chain(evidence.chain)
    check_signature(evidence.report, key)
    check_launch(evidence)
    if evidence.data is not None:
        if hashlib.sha512(evidence.data).digest() != evidence.report[0x50:0x90]:
            raise Refused("about another nonce or manifest")
        print("  data       SHA-512(nonce, manifest)")


def flipped(content, place):
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def tamperings(good):
    """What is done, the refusal, and the evidence."""
    for number, name in enumerate(("ARK", "ASK", "VCEK")):
        chain = list(good.chain)
        chain[number] = flipped(chain[number], -1)
        yield f"{name}'s signature", "chain", replace(good, chain=tuple(chain))
    ark, ask, vcek = good.chain
    yield "ASK and VCEK swapped", "chain", replace(good, chain=(ark, vcek, ask))
    for place in (*range(0, 0x34, 4), *range(0x38, SIGNED_BYTES, 8)):
        report = flipped(good.report, place)
        yield f"byte {place:#x} of the report", "signature", replace(good, report=report)
    for place in (SIGNED_BYTES, SIGNED_BYTES + SCALAR_BYTES):
        report = flipped(good.report, place)
        yield f"scalar at {place:#x}", "signature", replace(good, report=report)
    other = "another image"
    yield other, other, replace(good, launch_digest=bytes(48))
    other = "about another nonce or manifest"
    if good.data is not None:
        for place in (0, 63, 64, -1):
            yield f"byte {place} of the data", other, replace(good, data=flipped(good.data, place))


def check_tamperings(good):
    count = 0
    for name, expected, evidence in tamperings(good):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                check(evidence)
        except Refused as refused:
            if str(refused) != expected:
                sys.exit(f"evidence: {name}: {refused}, not {expected}")
            count += 1
            continue
        sys.exit(f"evidence: {name}: accepted")
    print(f"  and {count} tampered copies are refused")


def of_machine(folder):
    nonce = bytes.fromhex((folder / "nonce").read_text())
    return Evidence(
        chain=certificates_of((folder / "certificates.bin").read_bytes()),
        report=(folder / "report.bin").read_bytes(),
        data=nonce + (folder / "manifest.bin").read_bytes(),
        launch_digest=bytes.fromhex(compare.digests((folder / "image.igvm").read_bytes())[-1]),
    )


def check_samples(folder):
    def from_hexadecimal(name):
        return bytes.fromhex((folder / name).read_text())

    for product in ("milan", "turin"):
        ask, ark = (
            certificate.public_bytes(Encoding.DER)
            for certificate in x509.load_pem_x509_certificates(
                (folder / f"{product}-chain.txt").read_bytes()
            )
        )
        chain = (ark, ask, from_hexadecimal(f"{product}-vcek.txt"))
        print(f"a {product.capitalize()}:")
        if product == "milan":
            evidence = Evidence(chain, from_hexadecimal("milan-report.txt"))
            check(evidence)
            check_tamperings(evidence)
        else:
            check_chain(chain)


def main(argument):
    if argument == "--samples":
        check_samples(Path(__file__).parents[2] / "attest/samples")
        return
    evidence = of_machine(Path(argument))
    print(f"{argument}:")
    try:
        check(evidence)
    except Refused as refused:
        sys.exit(f"evidence: refused: {refused}")
    check_tamperings(evidence)


# AMD gives VCEKs the serial number 0.
warnings.simplefilter("ignore", CryptographyDeprecationWarning)
main(*sys.argv[1:])
