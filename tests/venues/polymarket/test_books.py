"""Books by REST: whole, mutated and in part, and the hash that proves them."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.polymarket.books import (
    book_hash,
    decode_book,
    name_book,
    split_books,
    verify_book,
)

DATA = Path(__file__).parents[2] / "data" / "polymarket"
BOOKS = (DATA / "rest_books.json").read_bytes()


def test_rest_book_verifies_against_an_independent_hash():
    (raw,) = split_books(BOOKS)
    book = decode_book(raw)
    name = name_book(raw)
    assert (name.asset_id, name.hash) == (book.asset_id, book.hash)
    plain = json.loads(BOOKS)[0] | {"hash": ""}
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    assert book_hash(book) == hashlib.sha1(text.encode()).hexdigest()
    assert verify_book(book) is book


def test_book_hash_equals_the_vendors_own_test():
    """The vector of the vendor's test suite. Source: polymarket.md 16."""
    book = decode_book(
        b'{"market":"0xaabbcc","asset_id":"100","bids":[{"price":"0.3","size":"100"},'
        b'{"price":"0.4","size":"100"}],"asks":[{"price":"0.6","size":"100"},'
        b'{"price":"0.7","size":"100"}],"timestamp":"123456789","min_order_size":"100",'
        b'"neg_risk":false,"tick_size":"0.01","last_trade_price":"0.5",'
        b'"hash":"0458ea5755c9f73d64a14636fa5c36ed460ec394"}'
    )
    assert book_hash(book) == "0458ea5755c9f73d64a14636fa5c36ed460ec394"


@pytest.mark.parametrize("change", [(b"0.48", b"0.47"), (b'"33"', b'"34"'), (b"false", b"true")])
def test_changed_book_fails_its_hash(change):
    (raw,) = split_books(BOOKS.replace(*change))
    book = decode_book(raw)
    with pytest.raises(RemoteProtocolError, match="expected"):
        verify_book(book)


def test_rest_book_without_a_field_is_an_error():
    for field in json.loads(BOOKS)[0]:
        book = json.loads(BOOKS)[0]
        del book[field]
        with pytest.raises(RemoteProtocolError, match=field):
            decode_book(json.dumps(book).encode())


@given(data=st.data())
def test_mutated_book_gives_a_book_or_protocol_error(mangle, keeps_promise, data):
    for raw in keeps_promise(split_books, mangle(data, BOOKS)) or []:
        keeps_promise(name_book, raw)
        book = keeps_promise(decode_book, raw)
        if book is not None:
            keeps_promise(verify_book, book)


@given(st.binary(max_size=300))
def test_garbage_gives_books_or_protocol_error(keeps_promise, payload):
    for codec in (decode_book, split_books, name_book):
        keeps_promise(codec, payload)
