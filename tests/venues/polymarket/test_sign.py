"""The compiled signature is coincurve's own, byte for byte, and shows nothing of its key."""

import copy
import pickle

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.venues.polymarket._sign import RawKey
from lowlat.venues.polymarket.eip712 import SigningKey

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@given(scalar=st.integers(1, ORDER - 1), digest=st.binary(min_size=32, max_size=32))
def test_signature_is_coincurves(scalar, digest):
    secret = scalar.to_bytes(32, "big")
    theirs = coincurve.PrivateKey(secret).sign_recoverable(digest, hasher=None)
    assert SigningKey(secret).sign(digest) == theirs[:64] + bytes([27 + theirs[64]])


def test_key_is_neither_shown_nor_copied():
    key = SigningKey(b"\x11" * 32)
    assert "11111111" not in repr(key) + repr(key._key) + str(vars(type(key._key)))
    for escape in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            escape(key._key)


def test_digest_of_another_size_is_refused():
    with pytest.raises(ValueError, match="expected 32"):
        SigningKey(b"\x11" * 32).sign(b"short")
    with pytest.raises(ValueError, match="raw key needs"):
        RawKey(b"short", None, 1, 1, 1)
