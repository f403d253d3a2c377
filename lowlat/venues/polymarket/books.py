"""Books by REST: questions, answers, and the hash that proves an answer whole.

Run by the feed engine, which asks when its own ladder is in doubt. Pure: bytes in, values or
RemoteProtocolError out. Levels are as the socket's, see market.py. Source: polymarket.md 1.4, 8.3.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.polymarket.bounds import BOOKS_MAX
from lowlat.venues.polymarket.market import Level
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = [
    "BookName",
    "RestBook",
    "book_hash",
    "books_body",
    "decode_book",
    "name_book",
    "split_books",
    "verify_book",
]


class RestBook(msgspec.Struct, frozen=True, gc=False):
    """A book as ``/book`` and ``/books`` serve it. Source: polymarket.md 1.4."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    min_order_size: str
    tick_size: str
    neg_risk: bool
    last_trade_price: str
    """Empty text when there was no trade."""


class BookName(msgspec.Struct, frozen=True, gc=False):
    """What tells one served book from another without its levels. Source: polymarket.md 8.3."""

    asset_id: str
    hash: str


_decode_book: Final = msgspec.json.Decoder(RestBook).decode
_split_books: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_name: Final = msgspec.json.Decoder(BookName).decode
_encode: Final = msgspec.json.Encoder().encode


def decode_book(payload: Payload) -> RestBook:
    """Decode the answer of ``GET /book``."""
    try:
        return _decode_book(payload)
    except BAD_JSON as error:
        raise malformed("/book", payload, error) from error


def split_books(payload: Payload) -> list[msgspec.Raw]:
    """Split the answer of ``POST /books`` into books for ``name_book`` and ``decode_book``.

    Hundreds of books are megabytes: whoever has little time decodes them one by one.
    """
    try:
        return _split_books(payload)
    except BAD_JSON as error:
        raise malformed("/books", payload, error) from error


def name_book(payload: Payload) -> BookName:
    """Decode only whose book it is and its hash: equal hashes are equal books."""
    try:
        return _decode_name(payload)
    except BAD_JSON as error:
        raise malformed("/books", payload, error) from error


def books_body(tokens: Sequence[str]) -> bytes:
    """Return the body of ``POST /books``, BOOKS_MAX tokens at most."""
    assert 0 < len(tokens) <= BOOKS_MAX, f"{len(tokens)} books in one question"
    return msgspec.json.encode([{"token_id": token} for token in tokens])


class _HashInput(msgspec.Struct):
    """The key order is the protocol. Source: polymarket.md 8.3."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    min_order_size: str
    tick_size: str
    neg_risk: bool
    last_trade_price: str


def book_hash(book: RestBook) -> str:
    """Return the venue's hash of a REST book: SHA-1 over its compact JSON with an empty hash."""
    preimage = _encode(
        _HashInput(
            book.market,
            book.asset_id,
            book.timestamp,
            "",
            book.bids,
            book.asks,
            book.min_order_size,
            book.tick_size,
            book.neg_risk,
            book.last_trade_price,
        )
    )
    return hashlib.sha1(preimage, usedforsecurity=False).hexdigest()


def verify_book(book: RestBook) -> RestBook:
    """Return the book if its hash is right, else raise RemoteProtocolError.

    REST only: on the socket the hash covers values that the event does not carry.
    """
    computed = book_hash(book)
    if computed != book.hash:
        raise RemoteProtocolError(
            f"/book of asset {book.asset_id[:80]}: hash was {book.hash[:44]!r}, expected {computed}"
        )
    return book
