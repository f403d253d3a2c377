"""The directory of tokens: what a row says, and that equal rows cost their memory once."""

from lowlat.core.instruments import Instruments, token_text
from lowlat.core.layout import MarketRow


def row(market, *, generation=1, token=1, tick_e4=100):
    fields = dict.fromkeys(MarketRow._fields, 0) | {
        "market": market,
        "generation": generation,
        "tick_e4": tick_e4,
        "condition_id": bytes([token]) * 32,
        "yes_token_id": bytes([token]) * 32,
        "no_token_id": bytes([token + 1]) * 32,
    }
    return MarketRow(**fields)


def test_equal_rows_are_kept_once_by_every_directory_of_a_process():
    first, second = Instruments(), Instruments()
    assert first.put(row(3))
    assert second.put(row(3))
    assert first.markets[3] is second.markets[3]
    assert first.by_index[6] is second.by_index[6]
    assert first.by_token[token_text(b"\x01" * 32)].index == 6
    assert first.by_token[token_text(b"\x02" * 32)].index == 7


def test_another_market_in_the_row_replaces_its_tokens():
    found, late = Instruments(), Instruments()
    found.put(row(3))
    late.put(row(3))
    assert found.put(row(3, generation=2, token=9))
    assert found.by_index[6].generation == 2
    assert token_text(b"\x01" * 32) not in found.by_token
    assert found.by_token[token_text(b"\x09" * 32)].market == 3
    # One that has not read the new row yet still has the old market, whole.
    assert late.by_index[6].generation == 1
    assert late.markets[3].generation == 1


def test_two_instances_with_other_markets_in_the_same_rows_never_mix():
    """As in the world, where several instances may share a process."""
    one, other = Instruments(), Instruments()
    one.put(row(3, token=1))
    other.put(row(3, token=5))
    one.put(row(3, token=1, tick_e4=10))
    assert one.by_index[6].token_id == token_text(b"\x01" * 32)
    assert other.by_index[6].token_id == token_text(b"\x05" * 32)
    assert one.markets[3].tick_e4 == 10
    assert other.markets[3].tick_e4 == 100


def test_a_changed_row_of_the_same_market_is_no_new_market():
    found = Instruments()
    assert found.put(row(3))
    token = found.by_index[6]
    assert not found.put(row(3, tick_e4=10))
    assert found.by_index[6] is token
    assert found.markets[3].tick_e4 == 10
