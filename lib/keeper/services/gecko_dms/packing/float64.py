"""The 64-bit float that a decimal text means, on boards whose own floats have 32 bits. Pure."""

import struct


def nearest(text):
    """The 8 bytes, big end first, of the float (IEEE 754, ties to even) nearest to a finite number's `repr`."""
    sign = 1 << 63 if text.startswith("-") else 0
    digits, _, power = text.lstrip("-").partition("e")
    whole, _, behind = digits.partition(".")
    over, under = int(whole + behind), 1
    power = int(power or "0") - len(behind)
    if not over:
        return struct.pack(">Q", sign)
    if power < 0:
        under = 10**-power
    else:
        over *= 10**power
    # over / under is fraction * 2**exponent with 53 bits in the fraction, or fewer for the smallest numbers
    exponent = max(len(bin(over)) - len(bin(under)) - 53, -1074)
    fraction, rest, unit = _scaled(over, under, exponent)
    if fraction >> 53:
        exponent += 1
        fraction, rest, unit = _scaled(over, under, exponent)
    if rest * 2 > unit or (rest * 2 == unit and fraction & 1):
        fraction += 1
    # The fraction's highest bit isn't stored: it adds one to the exponent before it.
    return struct.pack(">Q", sign | ((exponent + 1074) << 52) + fraction)


def _scaled(over, under, exponent):
    """Quotient and rest of over / (under * 2**exponent), and what it was divided by."""
    if exponent > 0:
        under <<= exponent
    else:
        over <<= -exponent
    return over // under, over % under, under
