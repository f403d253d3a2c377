"""L1 and L2 headers against the venue's vectors; credentials that stay secret."""

import base64
import copy
import hashlib
import hmac
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lowlat.core.errors import ConfigError
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth, l1_headers
from lowlat.venues.polymarket.eip712 import SigningKey

UUID = "00000000-0000-0000-0000-000000000001"
ADDRESS = "0x" + "11" * 20


def test_every_l2_vector_is_signed(vectors):
    words = vectors["l2_auth"]["creds"]
    for case in vectors["l2_auth"]["cases"]:
        auth = L2Auth(
            vectors["eoa"], ApiCredentials(words["key"], case["secret"], words["passphrase"])
        )
        text = f"{case['timestamp']}{case['method']}{case['path']}{case['body'] or ''}"
        headers = case.get("headers") or {"POLY_SIGNATURE": case["signature"]}
        assert auth.sign(text.encode()).decode() == headers["POLY_SIGNATURE"]
        assert auth.address == headers.get("POLY_ADDRESS", vectors["eoa"])
    assert len(vectors["l2_auth"]["cases"]) == 10


def test_every_l1_vector_is_signed(vectors, private_key):
    key = SigningKey(private_key)
    for case in vectors["l1_auth"]:
        made = l1_headers(key, case["timestamp"], case["nonce"], case["chain_id"])
        assert made == case["headers"]
    assert len(vectors["l1_auth"]) == 4


@example(b"k" * 64, b"m", True)
@example(b"k" * 65, b"m", False)
@given(st.binary(min_size=1, max_size=100), st.binary(max_size=300), st.booleans())
def test_hmac_is_the_standard_librarys_for_any_key(key, message, padded):
    secret = base64.urlsafe_b64encode(key).decode()
    auth = L2Auth(ADDRESS, ApiCredentials(UUID, secret if padded else secret.rstrip("="), "p"))
    expected = base64.urlsafe_b64encode(hmac.new(key, message, hashlib.sha256).digest())
    assert auth.sign(message) == expected
    assert auth.sign(bytearray(message)) == expected
    standard = ApiCredentials(UUID, base64.b64encode(key).decode(), "p")
    assert standard.secret_bytes() == key


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"api_key": "not-a-uuid"}, "api_key"),
        ({"api_key": UUID + "\r\nHost: evil"}, "api_key"),
        ({"api_key": UUID + "\n"}, "api_key"),
        ({"secret": ""}, "secret"),
        ({"secret": "se cret"}, "secret"),
        ({"secret": "abcde"}, "secret"),
        ({"secret": "ab=cd"}, "secret"),
        ({"passphrase": ""}, "passphrase"),
        ({"passphrase": "topsecret\r\nX: y"}, "passphrase"),
    ],
)
def test_bad_credentials_are_refused_without_being_quoted(change, word):
    good = {"api_key": UUID, "secret": "AAECAwQF", "passphrase": "topsecret"}
    with pytest.raises(ConfigError, match=word) as caught:
        ApiCredentials(**(good | change))
    for value in change.values():
        assert not value or value not in str(caught.value)


def test_credentials_never_show(credentials, vectors):
    auth = L2Auth(vectors["eoa"], credentials)
    for holder in (credentials, auth):
        text = repr(holder) + str(holder) + f"{(holder,)}"
        assert credentials.secret not in text
        assert credentials.passphrase not in text
        assert credentials.api_key not in text
        assert "***" in text
        assert not hasattr(holder, "__dict__")
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                leak(holder)


def test_secrets_decode_by_either_alphabet_only():
    for text in ("-_-_", "+/+/"):
        assert ApiCredentials(UUID, text, "p").secret_bytes() == b"\xfb\xff\xbf"


def test_the_address_header_is_checksummed(credentials, vectors):
    assert L2Auth(vectors["eoa"].lower(), credentials).address == vectors["eoa"]
    with pytest.raises(ConfigError, match="address"):
        L2Auth("0x12", credentials)
