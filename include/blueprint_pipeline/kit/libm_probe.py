"""What the mathematics library of this machine computes, as one number: equal numbers, equal last bits.

Physics calls sin, pow and their like some thousand times a second, and no standard says how their last bit is rounded. glibc rounds
otherwise on a CPU without FMA than on one with it; musl, macOS and ARM round in their own ways. Names of libraries and lists of CPU
features only suggest that, so the functions themselves are asked. This module needs Python alone: replay kits hold a copy of it.

Source: glibc ``sysdeps/x86_64/fpu/multiarch/ifunc-fma.h`` (which variant is taken); the functions are those that MuJoCo's library imports.
"""

import hashlib
import math
import platform
import struct

_POINTS = [(number * 7919 % 20011 - 10005) / 1429 for number in range(4000)]
"""Spread over -7 to 7, made of exact steps."""
_FUNCTIONS = (
    math.sin,
    math.cos,
    math.tan,
    math.exp,
    lambda x: math.log(abs(x) + 0.001),
    lambda x: math.asin(x / 8),
    lambda x: math.acos(x / 8),
    lambda x: math.atan2(x, 1.25),
    lambda x: math.pow(abs(x), 1.7),
)


def libm_sha256() -> str:
    """sha256 over the results of the functions, as float64."""
    digest = hashlib.sha256()
    for function in _FUNCTIONS:
        digest.update(struct.pack(f"<{len(_POINTS)}d", *map(function, _POINTS)))
    return digest.hexdigest()


def describe_libm() -> str:
    """The library's name and version, as far as it tells them."""
    return " ".join(platform.libc_ver()).strip() or f"{platform.system()} {platform.release()}"
