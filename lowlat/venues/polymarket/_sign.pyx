# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""The secp256k1 signature without the interpreter's detour: what every fresh order pays for.

Used by eip712.py only; pure. The curve is libsecp256k1's, in the very library that coincurve
loads. A test compares every byte with coincurve's own.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uintptr_t
from libc.string cimport memcpy, memset

__all__ = ["RawKey"]

ctypedef int (*sign_t)(
    void *context, void *signature, const uint8_t *digest, const uint8_t *secret, void *nonce,
    const void *nonce_data,
) noexcept
ctypedef int (*serialize_t)(
    void *context, uint8_t *out, int *recovery, const void *signature
) noexcept


@cython.final
cdef class RawKey:
    """A secret scalar that only signs; nothing reads it back."""

    cdef uint8_t[32] _secret
    cdef sign_t _sign
    cdef serialize_t _serialize
    cdef void *_context
    cdef object _owner

    def __init__(
        self, bytes secret not None, owner, uintptr_t context, uintptr_t sign, uintptr_t serialize
    ):
        """Bind a valid scalar to the library's functions; ``owner`` keeps its context alive."""
        if PyBytes_GET_SIZE(secret) != 32 or not context or not sign or not serialize:
            raise ValueError("a raw key needs 32 bytes, a context and two functions")
        memcpy(self._secret, PyBytes_AS_STRING(secret), 32)
        self._owner = owner
        self._context = <void *>context
        self._sign = <sign_t>sign
        self._serialize = <serialize_t>serialize

    def __dealloc__(self):
        memset(self._secret, 0, 32)

    def sign(self, bytes digest not None):
        """Sign 32 bytes: r, s (low), v as 27 or 28. Deterministic (RFC 6979)."""
        cdef uint8_t[65] signature
        cdef uint8_t[65] found
        cdef int recovery = 0
        if PyBytes_GET_SIZE(digest) != 32:
            raise ValueError(f"digest was {len(digest)} bytes, expected 32")
        if not self._sign(
            self._context, found, <const uint8_t *>PyBytes_AS_STRING(digest), self._secret, NULL,
            NULL,
        ):
            raise ValueError("libsecp256k1 refused to sign")
        self._serialize(self._context, signature, &recovery, found)
        signature[64] = <uint8_t>(27 + recovery)
        return PyBytes_FromStringAndSize(<const char *>signature, 65)
