"""Addresses of the contracts a trading wallet deals with. Source: polymarket.md 3.1, 13."""

from typing import Final

__all__ = [
    "ADAPTER",
    "AUTO_REDEEMER",
    "BINARY_MODULE",
    "CTF",
    "ERC20_SPENDERS",
    "ERC1155_OPERATORS",
    "EXCHANGES",
    "NEG_RISK_ADAPTER",
    "NEG_RISK_ADAPTER_V1",
    "NEG_RISK_MODULE",
    "ONRAMP",
    "POSITION_MANAGER",
    "PUSD",
    "ROUTER",
    "USDC_E",
]

EXCHANGES: Final = {
    "standard": ("2", "0xE111180000d2663C0091e4f400237545B87B996B"),
    "neg_risk": ("2", "0xe2222d279d744050d28e00520010520000310F59"),
    "v3": ("3", "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
}
"""Version and contract of each exchange."""

PUSD: Final = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
USDC_E: Final = "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174"
ONRAMP: Final = "0x93070a847efEf7F70739046A929D47a521F5B8ee"
"""Takes USDC.e, mints pUSD one to one. Source: docs.polymarket.com/concepts/pusd, 2026-11."""
CTF: Final = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
POSITION_MANAGER: Final = "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"
ADAPTER: Final = "0xAdA100Db00Ca00073811820692005400218FcE1f"
NEG_RISK_ADAPTER: Final = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
NEG_RISK_ADAPTER_V1: Final = "0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296"
"""Retired for calls; clients still read neg-risk balances from it."""
ROUTER: Final = "0x12121212006e4CD160D18e3f00711DA5c3372600"
BINARY_MODULE: Final = "0x1000008dD9001B968442c1000017eaE6E0dA00Ba"
NEG_RISK_MODULE: Final = "0x200000900045e3B6259600682756002200028933"
AUTO_REDEEMER: Final = "0xa1200000d0002264C9a1698e001292D00E1b00af"
_PERPS_DEPOSIT: Final = "0xDCa4af75705dbB50f62437045afF9921947917d2"

_STANDARD, _NEG_RISK, _V3 = (contract for _, contract in EXCHANGES.values())

ERC20_SPENDERS: Final = (
    _STANDARD,
    _NEG_RISK,
    ADAPTER,
    NEG_RISK_ADAPTER,
    ROUTER,
    _V3,
    _PERPS_DEPOSIT,
)
"""Who the vendor's client lets spend pUSD."""

ERC1155_OPERATORS: Final = (
    (CTF, _STANDARD),
    (CTF, _NEG_RISK),
    (CTF, ADAPTER),
    (CTF, NEG_RISK_ADAPTER),
    (CTF, AUTO_REDEEMER),
    (CTF, BINARY_MODULE),
    (CTF, NEG_RISK_MODULE),
    (POSITION_MANAGER, ROUTER),
    (POSITION_MANAGER, _V3),
    (POSITION_MANAGER, AUTO_REDEEMER),
)
"""Who it lets move outcome tokens, by token contract."""
