#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the nist_*.txt files of this folder: a small part of NIST's CAVP response files.

The response files are those of the Python package `cryptography_vectors`, unpacked in the folder
that is the only argument. Where a file has a message to be signed, only its digest is kept.
"""

import hashlib
import pathlib
import sys

SOURCE = pathlib.Path(sys.argv[1])
HASH_IDS = {"sha1": 0x0004, "sha256": 0x000B, "sha384": 0x000C, "sha512": 0x000D,
            "sha3_256": 0x0027, "sha3_384": 0x0028, "sha3_512": 0x0029}


def sections(path):
    """(section headers so far, fields) of each record; a repeated field ends a record."""
    headers, fields = [], {}
    for line in (SOURCE / path).read_text().splitlines() + [""]:
        line = line.strip()
        if line.startswith("["):
            headers = (headers + [line.strip("[]")])[-4:]
        elif " = " in line or line.endswith(" ="):
            name, _, value = line.partition("=")
            fields[name.strip()] = value.strip()
        elif not line and fields:
            yield headers, fields
            fields = {}


def write(name, source, records):
    with open(f"nist_{name}.txt", "w", encoding="ascii") as file:
        file.write("# SPDX-License-Identifier: MIT OR Apache-2.0\n")
        file.write(f"# From NIST's CAVP, {source}. Written by extract_nist.py.\n")
        for record in records:
            file.write("\n" + "".join(f"{k} = {v}".rstrip() + "\n" for k, v in record.items()))


def limited(records, count, key):
    """At most `count` records with each key, half of them valid if there are such."""
    seen = {}
    for record in records:
        group = (key(record), record.get("valid"))
        seen[group] = seen.get(group, 0) + 1
        if seen[group] <= count:
            yield record


def digests():
    for name, number in HASH_IDS.items():
        folder = "SHA3" if "_" in name else "SHA1" if name == "sha1" else "SHA2"
        stem = name.upper()
        for kind, wanted in [("Short", (0, 1, 7, 33)), ("Long", (0,))]:
            records = sections(f"hashes/{folder}/{stem}{kind}Msg.rsp")
            whole = [f for _, f in records if "Msg" in f]
            for index in wanted:
                fields = whole[index]
                message = "" if fields["Len"] == "0" else fields["Msg"]
                yield {"hash": f"{number:04x}", "message": message, "digest": fields["MD"]}


def symmetric():
    for mode, number, folder in [("CBC", 0x42, "CBC"), ("CFB128", 0x43, "CFB"),
                                 ("OFB", 0x41, "OFB"), ("ECB", 0x44, "ECB")]:
        for bits in [128, 192, 256]:
            found = [f for _, f in sections(f"ciphers/AES/{folder}/{mode}MMT{bits}.rsp")]
            for fields in (found[4], found[9]):
                yield {"algorithm": "0006", "mode": f"{number:04x}", "key": fields["KEY"],
                       "iv": fields.get("IV", ""), "plain": fields["PLAINTEXT"],
                       "cipher": fields["CIPHERTEXT"]}


CURVES = {"P-256": (3, 64), "P-384": (4, 96), "P-521": (5, 132)}


def ecdsa():
    for headers, fields in sections("asymmetric/ECDSA/FIPS_186-3/SigVer.rsp"):
        curve, _, name = headers[-1].partition(",")
        name = name.lower().replace("-", "")
        if curve in CURVES and name in HASH_IDS and "Msg" in fields:
            number, width = CURVES[curve]
            digest = hashlib.new(name, bytes.fromhex(fields["Msg"])).hexdigest()
            yield {"curve": f"{number:04x}", "digest": digest, "r": fields["R"].zfill(width),
                   "s": fields["S"].zfill(width),
                   "valid": "yes" if fields["Result"][0] == "P" else "no",
                   "x": fields["Qx"].zfill(width), "y": fields["Qy"].zfill(width)}


def ecdh():
    sets = {"EC": "P-256", "ED": "P-384", "EE": "P-521"}
    path = "asymmetric/ECDH/KASValidityTest_ECCStaticUnified_NOKC_ZZOnly_resp.fax"
    for headers, fields in sections(path):
        curve = sets.get(headers[-1][:2])
        if curve and "Z" in fields:
            number, width = CURVES[curve]
            yield {"curve": f"{number:04x}", "d": fields["dsIUT"].zfill(width),
                   "ownX": fields["QsIUTx"].zfill(width), "ownY": fields["QsIUTy"].zfill(width),
                   "x": fields["QsCAVSx"].zfill(width), "y": fields["QsCAVSy"].zfill(width),
                   "z": fields["Z"].zfill(width),
                   "valid": "yes" if fields["Result"][0] == "P" else "no"}


def rsa(path):
    modulus = ""
    for _, fields in sections(path):
        modulus = fields.get("n", modulus)
        name = fields.get("SHAAlg", "").lower()
        if name not in HASH_IDS or len(modulus) not in (256, 512, 768):
            continue
        digest = hashlib.new(name, bytes.fromhex(fields["Msg"])).hexdigest()
        yield {"n": modulus, "exponent": int(fields["e"], 16), "hash": f"{HASH_IDS[name]:04x}",
               "digest": digest, "signature": fields["S"],
               "valid": "yes" if fields["Result"][0] == "P" else "no"}


def kdf2():
    for headers, fields in sections("KDF/ansx963_2001.txt"):
        name = headers[-4].lower().replace("-", "")
        # With shared information the two derivations differ.
        if name in HASH_IDS and not fields["SharedInfo"]:
            yield {"hash": f"{HASH_IDS[name]:04x}", "secret": fields["Z"],
                   "output": fields["key_data"]}


if __name__ == "__main__":
    write("hash", "SHA ShortMsg and LongMsg", digests())
    write("symmetric", "AES multi-block messages", symmetric())
    write("ecdsa", "ECDSA SigVer (FIPS 186-3)",
          limited(ecdsa(), 1, lambda r: (r["curve"], len(r["digest"]))))
    write("ecdh", "ECC CDH validity", limited(ecdh(), 4, lambda r: r["curve"]))
    for scheme, file in [("rsassa", "SigVer15_186-3.rsp"), ("pss", "SigVerPSS_186-3.rsp")]:
        records = rsa(f"asymmetric/RSA/FIPS_186-2/{file}")
        write(scheme, file, limited(records, 1, lambda r: (len(r["n"]), r["hash"])))
    write("kdf2", "ANS X9.63-2001", limited(kdf2(), 3, lambda r: r["hash"]))
