# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares what igvmbuilder says of an IGVM file with what sev-snp-measure computes.

usage: compare.py FILE.igvm OURS.json

The reader follows the IGVM format's public definition (igvm_defs): a fixed header of 24 bytes,
then variable headers of type, length and content, padded to 8 bytes.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from sevsnpmeasure import id_block
from sevsnpmeasure.gctx import GCTX

PAGE = 4096
GUEST_POLICY = 0x101
PARAMETER_AREA, PAGE_DATA, PARAMETER_INSERT = 0x301, 0x302, 0x303
VP_CONTEXT, ID_BLOCK = 0x304, 0x30B


def headers(file):
    """Type and content of each variable header."""
    magic, version, start, size, total, _ = struct.unpack_from("<4sIIIII", file)
    assert (magic, version, total) == (b"IGVM", 1, len(file)), "not an IGVM file of version 1"
    end = start + size
    while start < end:
        kind, length = struct.unpack_from("<II", file, start)
        yield kind, file[start + 8 : start + 8 + length]
        start += 8 + (length + 7) // 8 * 8


def page_at(file, offset):
    assert offset != 0 and offset + PAGE <= len(file), "a page that isn't in the file"
    return file[offset : offset + PAGE]


def data_page(context, file, content):
    gpa, _, offset, flags, kind, _ = struct.unpack("<QIIIHH", content)
    unmeasured = flags & 2
    if kind == 1:
        context.update_secrets_page(gpa)
    elif kind in (2, 3):
        context.update_cpuid_page(gpa)
    elif unmeasured:
        context.update_unmeasured_pages(gpa, PAGE)
    else:
        context.update_normal_pages(gpa, page_at(file, offset))


def digests(file):
    """The launch digest after each page."""
    context, areas, result = GCTX(), {}, []
    for kind, content in headers(file):
        if kind == PARAMETER_AREA:
            size, index, _ = struct.unpack("<QII", content)
            areas[index] = size
        elif kind == PARAMETER_INSERT:
            gpa, _, index = struct.unpack("<QII", content)
            for offset in range(0, areas[index], PAGE):
                context.update_unmeasured_pages(gpa + offset, PAGE)
                result.append(context.hex_ld())
        elif kind == PAGE_DATA:
            data_page(context, file, content)
            result.append(context.hex_ld())
        elif kind == VP_CONTEXT:
            _, _, offset, *_ = struct.unpack_from("<QIIHH", content)
            context.update_vmsa_page(page_at(file, offset))
            result.append(context.hex_ld())
    return result


def number(field):
    assert field[48:] == bytes(24), "a number beyond P-384"
    return int.from_bytes(field[:48], "little")


def public_key(content):
    """The key, and the firmware's form of it."""
    curve, _, x, y = struct.unpack("<II72s72s", content)
    assert curve == 2, "not P-384"
    key = ec.EllipticCurvePublicNumbers(number(x), number(y), ec.SECP384R1()).public_key()
    return key, struct.pack("<I72s72s880x", curve, x, y)


def check_signature(key, signature, message):
    r, s = struct.unpack("<72s72s", signature)
    encoded = utils.encode_dss_signature(number(r), number(s))
    key.verify(encoded, message, ec.ECDSA(hashes.SHA384()))


def check_id_block(file, ours, digest):
    """The ID block's signatures and digests of keys; says whether there is a block."""
    found = dict(headers(file))
    content = found.get(ID_BLOCK)
    if content is None:
        assert ours is None, "igvmbuilder sees an ID block"
        return False
    form = "<IB3x48s16s16sIIII144s152s144s152s"
    (_, has_author, ld, family, image, version, svn, _, _, block_signature, id_key, key_signature,
     author_key) = struct.unpack(form, content)
    (policy,) = struct.unpack_from("<Q", found[GUEST_POLICY])
    assert ld.hex() == digest, "the ID block is for another digest"
    block = id_block.IdBlock.from_buffer_copy(
        struct.pack("<48s16s16sIIQ", ld, family, image, version, svn, policy)
    )
    key, firmware_key = public_key(id_key)
    check_signature(key, block_signature, bytes(block))
    assert ours["id_key_digest"] == sha384(firmware_key), "digest of the ID key"
    assert (ours["family_id"], ours["image_id"]) == (family.hex(), image.hex())
    assert ours["guest_svn"] == svn
    if has_author:
        author, firmware_author = public_key(author_key)
        check_signature(author, key_signature, firmware_key)
        assert ours["author_key_digest"] == sha384(firmware_author), "digest of the author key"
    else:
        assert ours["author_key_digest"] is None
    return True


def sha384(message):
    return hashlib.sha384(message).hexdigest()


def main():
    file, ours = Path(sys.argv[1]).read_bytes(), json.loads(Path(sys.argv[2]).read_text())
    theirs = digests(file)
    for number_of_page, (mine, other) in enumerate(zip(ours["pages"], theirs)):
        assert mine["digest_after"] == other, f"page {number_of_page} at {mine['gpa']}"
    assert len(ours["pages"]) == len(theirs), "number of pages"
    assert ours["launch_digest"] == theirs[-1]
    try:
        signed = check_id_block(file, ours["id_block"], theirs[-1])
    except InvalidSignature:
        sys.exit("the ID block's signature is wrong")
    block = "and the ID block" if signed else "without an ID block"
    print(f"cross-check: {len(theirs)} pages {block}: {theirs[-1]}")


if __name__ == "__main__":
    main()
