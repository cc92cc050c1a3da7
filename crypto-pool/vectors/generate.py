#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes primes.txt: which primes the rule of src/search/prime.rs makes of known draws.

The draws are SHA-256 of a counter. Independent of the code under test; run in this folder:
`python3 generate.py`, the output is the same every time.
"""

import hashlib
import math

SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


class Hashed:
    """SHA-256 in counter mode."""

    def __init__(self, seed):
        self.counter = seed

    def draw(self, size):
        output = b""
        while len(output) < size:
            self.counter += 1
            output += hashlib.sha256(self.counter.to_bytes(8, "little")).digest()
        return output[:size]


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


def prime(draws, bits, exponent):
    while True:
        number = int.from_bytes(draws.draw(bits // 8), "big") | 1 << (bits - 1) | 1
        large = number >> (bits - 64) > 0xB504F333F9DE6484
        if large and math.gcd(number - 1, exponent) == 1 and is_prime(number):
            return number


with open("primes.txt", "w", encoding="ascii") as file:
    file.write("# SPDX-License-Identifier: MIT OR Apache-2.0\n")
    file.write("# bits exponent seed p q. Written by generate.py.\n")
    for line, (bits, exponent) in enumerate(
        [(1024, 65537), (1024, 3), (2048, 65537), (2048, 17), (3072, 65537), (4096, 65537)]
    ):
        draws = Hashed(line << 32)
        p, q = (prime(draws, bits // 2, exponent) for _ in range(2))
        file.write(f"{bits} {exponent} {line << 32} {p:x} {q:x}\n")
