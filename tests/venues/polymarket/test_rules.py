"""Rule reader: every source must agree, each disagreement refuses with its reason."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import Coin, SettleRule
from lowlat.venues.polymarket.gamma import decode_markets
from lowlat.venues.polymarket.market_info import CryptoConfig
from lowlat.venues.polymarket.rules import RuleReading, read_rule

DATA = Path(__file__).parents[2] / "data" / "polymarket"
(TWAP,) = decode_markets((DATA / "gamma_updown.json").read_bytes()).markets
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def at(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND


def but(info, **changes):
    return msgspec.structs.replace(info, **changes)


HOURLY = but(
    TWAP,
    slug="ethereum-up-or-down-november-22-2026-3pm-et",
    start_ns=at(2026, 11, 22, 20),
    end_ns=at(2026, 11, 22, 21),
    resolution_source="https://www.binance.com/en/trade/ETH_USDT",
    rules_text='Resolves "Up" if the close price is greater than or equal to the open price for'
    " the ETH/USDT 1 hour candle that begins then, according to Binance.",
    crypto=None,
)
ABOVE = but(
    TWAP,
    slug="bitcoin-above-85k-on-november-24-2026",
    outcomes=("Yes", "No"),
    start_ns=None,
    end_ns=at(2026, 11, 24, 17),
    group_item_title="85,000",
    resolution_source="https://www.binance.com/en/trade/BTC_USDT",
    rules_text="Resolves “Yes” if the Binance 1 minute candle for BTC/USDT 12:00 in the ET"
    " timezone (noon) on the day has a final “Close” price higher than the title's price.",
    crypto=None,
)

DAILY = but(
    TWAP,
    slug="bitcoin-up-or-down-on-november-24-2026",
    start_ns=None,
    end_ns=at(2026, 11, 24, 17),
    resolution_source="https://www.binance.com/en/trade/BTC_USDT",
    rules_text="This market will resolve to “Up” if the “Close” price for the Binance 1 minute"
    " candle for BTC/USDT Nov 23 ’26 12:00 in the ET timezone (noon) is lower than the final"
    " “Close” price for the Nov 24 ’26 12:00 ET candle. If the final “Close” price for both of"
    " these candles is exactly equal on Binance, this market will resolve 50-50.",
    crypto=None,
)


def test_averaged_window():
    assert read_rule(TWAP) == RuleReading(
        SettleRule.TWAP_60_UP, Coin.BTC, 60, at(2026, 11, 22, 12), at(2026, 11, 22, 12, 5)
    )


def test_hour_candle_in_both_forms_of_its_slug():
    wanted = RuleReading(
        SettleRule.BINANCE_CANDLE_UP, Coin.ETH, 0, at(2026, 11, 22, 20), at(2026, 11, 22, 21)
    )
    assert read_rule(HOURLY) == wanted
    assert read_rule(but(HOURLY, slug="ethereum-up-or-down-november-22-3pm-et")) == wanted


def test_strike_settles_on_the_candle_that_opens_at_noon():
    noon = at(2026, 11, 24, 17)
    wanted = RuleReading(SettleRule.BINANCE_ABOVE, Coin.BTC, 0, noon, noon + MINUTE, 85_000 * 10**8)
    assert read_rule(ABOVE) == wanted
    assert read_rule(but(ABOVE, slug="bitcoin-above-85k-on-november-24")) == wanted
    in_text = ABOVE.rules_text + " See https://www.binance.com/en/trade/BTC_USDT for it."
    assert read_rule(but(ABOVE, resolution_source=None, rules_text=in_text)) == wanted


@pytest.mark.parametrize(
    ("short", "title", "strike"),
    [("85k", "$85,000", 85_000), ("3000", "3,000", 3_000), ("80", "80", 80),
     ("1pt5k", "1500", 1500)],
)  # fmt: skip
def test_strike_of_slug_and_title_must_agree(short, title, strike):
    info = but(ABOVE, slug=f"bitcoin-above-{short}-on-november-24-2026", group_item_title=title)
    assert read_rule(info).strike_e8 == strike * 10**8
    assert read_rule(but(info, group_item_title="84,999")).rule is SettleRule.UNKNOWN


def test_half_dollar_strike_is_exact():
    info = but(ABOVE, slug="bitcoin-above-2pt5-on-november-24-2026", group_item_title="2.50")
    assert read_rule(info).strike_e8 == 250_000_000


CONFIG = CryptoConfig("btc", "5m", twap_enabled=True, lookback_s=60)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slug": "eth-updown-5m-1795348800"}, "config asset"),
        ({"slug": "doge-updown-5m-1795348800"}, "no price feed"),
        ({"slug": "btc-updown-5m-1795348801"}, "slug's start"),
        ({"slug": "btc-updown-15m-1795348800"}, "no 15m window"),
        ({"slug": "btc-updown-4h-1795348800"}, "no 4h window"),
        ({"start_ns": None}, "eventStartTime"),
        ({"end_ns": None}, "endDate"),
        ({"end_ns": at(2026, 11, 22, 12, 6)}, "no 5m window"),
        ({"start_ns": at(2026, 11, 22, 12) + SECOND}, "slug's start"),
        ({"crypto": None}, "cryptoMarketConfig"),
        ({"crypto": CryptoConfig("eth", "5m", True, 60)}, "asset"),
        ({"crypto": CryptoConfig("btc", "15m", True, 60)}, "duration"),
        ({"crypto": CryptoConfig("btc", "5m", False, 60)}, "average"),
        ({"crypto": CryptoConfig("btc", "5m", None, 60)}, "average"),
        ({"crypto": CryptoConfig("btc", "5m", True, 30)}, "30 s"),
        ({"crypto": CryptoConfig("btc", "5m", True, None)}, "None s"),
        ({"resolution_source": "https://data.chain.link/streams/btc-usd"}, "resolutionSource"),
        ({"resolution_source": None}, "resolutionSource"),
        ({"rules_text": None}, "description"),
        ({"rules_text": "Up if greater than the start. Chainlink Bitcoin."}, "tie"),
        ({"rules_text": "Greater than or equal to, by Binance Bitcoin."}, "another source"),
        ({"rules_text": "Ethereum greater than or equal to, Chainlink."}, "another coin"),
        ({"outcomes": ("Yes", "No")}, "outcomes"),
    ],
)
def test_averaged_window_that_disagrees_is_unknown(change, reason):
    reading = read_rule(but(TWAP, **change))
    assert reading.rule is SettleRule.UNKNOWN
    assert reason in reading.reason


def test_window_before_the_averaging_rule_is_unknown():
    start = at(2026, 8, 13, 12)
    old = but(TWAP, slug=f"btc-updown-5m-{start // SECOND}", start_ns=start,
              end_ns=start + 5 * MINUTE)  # fmt: skip
    assert "older" in read_rule(old).reason


@pytest.mark.parametrize(
    ("info", "change", "reason"),
    [
        (HOURLY, {"slug": "ethereum-up-or-down-november-22-2026-4pm-et"}, "hour that the slug"),
        (HOURLY, {"slug": "dogecoin-up-or-down-november-22-2026-3pm-et"}, "no price feed"),
        (HOURLY, {"end_ns": at(2026, 11, 22, 22)}, "no hour"),
        (HOURLY, {"start_ns": at(2026, 11, 22, 20, 30), "end_ns": at(2026, 11, 22, 21, 30)},
         "hour that the slug"),
        (HOURLY, {"rules_text": HOURLY.rules_text.replace("ETH/", "BTC/")}, "pair"),
        (HOURLY, {"rules_text": HOURLY.rules_text + " Not BTC/USDT."}, "another pair"),
        (HOURLY, {"rules_text": HOURLY.rules_text.replace("or equal to ", "")}, "at or above"),
        (HOURLY, {"rules_text": HOURLY.rules_text.replace("1 hour", "1 minute")}, "1 hour candle"),
        (HOURLY, {"rules_text": HOURLY.rules_text + " Chainlink."}, "another source"),
        (HOURLY, {"resolution_source": None}, "resolutionSource"),
        (HOURLY, {"crypto": CONFIG}, "average"),
        (ABOVE, {"group_item_title": None}, "no strike"),
        (ABOVE, {"group_item_title": "0"}, "zero"),
        (ABOVE, {"group_item_title": "85,00"}, "no strike"),
        (ABOVE, {"end_ns": at(2026, 11, 24, 16)}, "noon"),
        (ABOVE, {"end_ns": at(2026, 11, 25, 17)}, "noon"),
        (ABOVE, {"end_ns": None}, "endDate"),
        (ABOVE, {"slug": "bitcoin-above-85k-on-smarch-24-2026"}, "month"),
        (ABOVE, {"slug": "bitcoin-above-85k-on-february-30-2026"}, "no date"),
        (ABOVE, {"rules_text": ABOVE.rules_text.replace("higher than", "at or above")}, "strictly"),
        (ABOVE, {"rules_text": ABOVE.rules_text.replace("1 minute", "1 hour")}, "1 minute candle"),
        (ABOVE, {"rules_text": ABOVE.rules_text.replace("12:00", "11:00")}, "noon"),
    ],
)  # fmt: skip
def test_candle_market_that_disagrees_is_unknown(info, change, reason):
    reading = read_rule(but(info, **change))
    assert reading.rule is SettleRule.UNKNOWN
    assert reason in reading.reason


def test_day_compares_the_closes_of_two_noons():
    wanted = RuleReading(
        SettleRule.BINANCE_NOON_UP, Coin.BTC, 0,
        at(2026, 11, 23, 17, 1), at(2026, 11, 24, 17, 1),
    )  # fmt: skip
    assert read_rule(DAILY) == wanted
    assert read_rule(but(DAILY, slug="bitcoin-up-or-down-on-november-24")) == wanted
    assert read_rule(but(DAILY, start_ns=at(2026, 11, 23, 17))) == wanted


@pytest.mark.parametrize(
    ("before", "day", "month", "end", "hours"),
    [
        # Noon of New York is 17:00 UTC in winter, 16:00 in summer.
        ("Oct 31", 1, "november", at(2026, 11, 1, 17), 25),
        ("Mar 7", 8, "march", at(2026, 3, 8, 16), 23),
        ("Jun 30", 1, "july", at(2026, 7, 1, 16), 24),
        ("Dec 31", 1, "january", at(2026, 1, 1, 17), 24),
    ],
)
def test_day_lasts_23_or_25_hours_where_the_clock_changes(before, day, month, end, hours):
    year = "25" if month == "january" else "26"
    text = DAILY.rules_text.replace("Nov 23 ’26", f"{before} ’{year}")
    text = text.replace("Nov 24", f"{month[:3].title()} {day}")
    slug = f"bitcoin-up-or-down-on-{month}-{day}-2026"
    reading = read_rule(but(DAILY, slug=slug, end_ns=end, rules_text=text))
    assert reading.reason == ""
    assert reading.end_ns == end + MINUTE
    assert reading.end_ns - reading.start_ns == hours * 60 * MINUTE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slug": "bitcoin-up-or-down-on-november-25-2026"}, "endDate is not noon"),
        ({"slug": "bitcoin-up-or-down-on-november-31-2026"}, "no date"),
        ({"slug": "bitcoin-up-or-down-on-smarch-24-2026"}, "month"),
        ({"slug": "ripple-up-or-down-on-november-24-2026"}, "no price feed"),
        ({"end_ns": None}, "endDate"),
        ({"start_ns": at(2026, 11, 23, 16)}, "eventStartTime"),
        ({"start_ns": at(2026, 11, 24, 16)}, "eventStartTime"),
        ({"outcomes": ("Yes", "No")}, "outcomes"),
        ({"rules_text": None}, "description"),
        ({"resolution_source": None}, "resolutionSource"),
        ({"crypto": CONFIG}, "average"),
        ({"rules_text": DAILY.rules_text.replace("Nov 23", "Nov 22")}, "day before"),
        ({"rules_text": DAILY.rules_text.replace("Nov 24", "Nov 25")}, "day of the slug"),
        ({"rules_text": DAILY.rules_text.replace("’26", "’25")}, "day before"),
        ({"rules_text": DAILY.rules_text.replace("Nov 23", "Nob 23")}, "month"),
        ({"rules_text": DAILY.rules_text.replace("Nov 23", "Nov 31")}, "no date"),
        ({"rules_text": DAILY.rules_text.replace("lower than", "at or below")}, "two noons"),
        ({"rules_text": DAILY.rules_text.replace("1 minute", "1 hour")}, "two noons"),
        ({"rules_text": DAILY.rules_text.replace("12:00 ET", "13:00 ET")}, "two noons"),
        ({"rules_text": DAILY.rules_text.replace("50-50", "to Up")}, "pay half"),
        ({"rules_text": DAILY.rules_text.replace("BTC/", "ETH/")}, "pair"),
        ({"rules_text": DAILY.rules_text + " Chainlink."}, "another source"),
    ],
)
def test_day_that_disagrees_is_unknown(change, reason):
    reading = read_rule(but(DAILY, **change))
    assert reading.rule is SettleRule.UNKNOWN
    assert reason in reading.reason


def test_crypto_market_of_another_kind_is_unknown_and_the_rest_is_not_crypto():
    touch = but(ABOVE, slug="what-price-will-bitcoin-hit-in-november")
    assert read_rule(touch).rule is SettleRule.UNKNOWN
    assert read_rule(but(touch, slug="who-wins-the-regatta", crypto=CONFIG)).rule is (
        SettleRule.UNKNOWN
    )
    assert read_rule(but(touch, slug="who-wins-the-regatta")).rule is SettleRule.NOT_CRYPTO
    assert read_rule(but(touch, slug=None)).rule is SettleRule.NOT_CRYPTO


@given(
    base=st.sampled_from([TWAP, HOURLY, ABOVE, DAILY]),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "slug": st.one_of(
                st.none(),
                st.from_regex(r"\A(btc|sol)-updown-(5m|4h)-[0-9]{10}\Z"),
                st.from_regex(r"\Abitcoin-above-[0-9]{1,25}k?-on-may-[0-9]{2}(-[0-9]{4})?\Z"),
            ),
            "start_ns": st.one_of(st.none(), st.integers(-(2**70), 2**70)),
            "end_ns": st.one_of(st.none(), st.integers(-(2**70), 2**70)),
            "group_item_title": st.one_of(st.none(), st.from_regex(r"\A\$?[0-9,.]{1,30}\Z")),
            "rules_text": st.sampled_from([None, "", " ", "\u201c\n", "chainlink bitcoin"]),
        },
    ),
)
def test_any_metadata_gives_a_reading(base, changes):
    reading = read_rule(but(base, **changes))
    assert isinstance(reading, RuleReading)
    assert bool(reading.reason) == (reading.rule is SettleRule.UNKNOWN)
    assert bool(reading.doubt) == bool(reading.reason)
