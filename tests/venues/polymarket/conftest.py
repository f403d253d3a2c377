"""The venue's order vectors and an account made from their well-known key."""

import json
import sys
from pathlib import Path

import pytest

from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
from lowlat.venues.polymarket.requests import ClobRequests

DATA = Path(__file__).parents[2] / "data" / "polymarket"
# The kits beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def vectors():
    return json.loads((DATA / "order_vectors.json").read_text())


@pytest.fixture(scope="session")
def private_key(vectors):
    return bytes.fromhex(vectors["private_key"][2:])


@pytest.fixture(scope="session")
def credentials(vectors):
    words = vectors["l2_auth"]["creds"]
    secret = vectors["l2_auth"]["cases"][0]["secret"]
    return ApiCredentials(words["key"], secret, words["passphrase"])


@pytest.fixture(scope="session")
def requests(vectors, credentials):
    return ClobRequests("clob.example.com", L2Auth(vectors["eoa"], credentials), "lowlat/test")
