# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False, autotestdict=False
"""Decimal text to integers in compiled code: core.units.parse_fixed at a twentieth of its cost.

Run by codecs on the hot path. The Python function is the oracle in the tests: same values, same
refusals. No floats anywhere.
"""

cdef extern from "Python.h":
    int PyUnicode_1BYTE_KIND
    int PyUnicode_KIND(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

from lowlat.core.errors import RemoteProtocolError

cdef long long[19] POWERS
cdef int _i
POWERS[0] = 1
for _i in range(1, 19):
    POWERS[_i] = POWERS[_i - 1] * 10


cdef long long _parse(str text, int decimals) except -1:
    """Return the integer, or -1 with the error set. Digits only, one point, exact."""
    if text is None or PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND:
        raise _refused(text, "is not a plain non-negative decimal")
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef const unsigned char *at = PyUnicode_1BYTE_DATA(text)
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t whole
    cdef int kept = 0
    cdef long long value = 0
    while i < size and 48 <= at[i] <= 57:
        if i + decimals >= 18:
            raise _refused(text, "is over 18 digits in its unit")
        value = value * 10 + (at[i] - 48)
        i += 1
    whole = i
    if whole == 0:
        raise _refused(text, "is not a plain non-negative decimal")
    if i < size:
        if at[i] != 46 or i + 1 == size:
            raise _refused(text, "is not a plain non-negative decimal")
        i += 1
        while i < size:
            if not 48 <= at[i] <= 57:
                raise _refused(text, "is not a plain non-negative decimal")
            if kept < decimals:
                value = value * 10 + (at[i] - 48)
                kept += 1
            elif at[i] != 48:
                raise _refused(text, f"has more than {decimals} decimals")
            i += 1
    return value * POWERS[decimals - kept]


cdef object _refused(str text, str why):
    shown = "" if text is None else text[:60]
    return RemoteProtocolError(f"decimal {shown!r} {why}")


def fixed(str text not None, int decimals):
    """Turn non-negative decimal text into an integer of ``10**-decimals`` units, exactly.

    About 35 ns. Raises RemoteProtocolError for anything else. ``decimals`` is 0 to 18.
    """
    assert 0 <= decimals <= 18
    return _parse(text, decimals)


def fixed_pairs(list levels not None, int decimals):
    """Turn ``[(price, size), ...]`` text into integers, both of ``10**-decimals`` units."""
    assert 0 <= decimals <= 18
    cdef list out = []
    for price, size in levels:
        out.append((_parse(price, decimals), _parse(size, decimals)))
    return out
