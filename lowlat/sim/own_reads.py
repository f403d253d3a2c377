"""What the order-book service answers to the owner of an API key: orders, trades, balances. Pure.

Source: polymarket.md 1.1, 5.4, 5.5.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim import events
from lowlat.sim.accounts import Account
from lowlat.sim.contracts import CTF, EXCHANGES, POSITION_MANAGER, PUSD
from lowlat.sim.credentials import ApiKey, Credentials
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import BUY, Order
from lowlat.sim.pages import page
from lowlat.sim.trades import Trade
from lowlat.sim.verify import checksum_address
from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["OwnReads"]

NS: Final = 1_000_000_000
ZERO32: Final = "0x" + "00" * 32
_ROWS_MAX: Final = 4096
"""Rows of trades that are kept as they were sent."""


class OwnReads:
    """Reads of one API key's own things, and of trades that a builder brought."""

    def __init__(self, exchange: Exchange, credentials: Credentials) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._prefixed = exchange.config.status_prefix
        self._rows: dict[tuple[str, str], tuple[tuple[str, int, str], orjson.Fragment]] = {}
        """By trade and reader, what was sent and what of it can change: listings repeat it."""

    def order(self, key: ApiKey, order_id: str) -> Response:
        """GET /data/order/{id}: any status, 404 when it never existed."""
        order = self._exchange.orders.get(order_id)
        if order is None or order.owner != key.key:
            return failure(404, "order not found")
        return success(self._row(order))

    def orders(self, key: ApiKey, request: Request) -> Response:
        """GET /data/orders: open ones, or one of any status by id."""
        exchange = self._exchange
        wanted, condition = request.arg("id"), request.arg("market")
        token = request.arg("asset_id")
        if wanted:
            order = exchange.orders.get(wanted)
            rows = [order] if order is not None and order.owner == key.key else []
        else:
            rows = list(exchange.open_of.get(key.key, {}).values())
        kept = [
            order
            for order in rows
            if (not condition or exchange.markets[order.market].condition_id == condition)
            and (not token or exchange.markets[order.market].tokens[order.outcome] == token)
        ]
        return page(request, kept, self._row)

    def _row(self, order: Order) -> dict[str, Any]:
        market = self._exchange.markets[order.market]
        return events.open_order(order, market, prefixed=self._prefixed)

    def trades(self, key: ApiKey, request: Request) -> Response:
        """GET /data/trades, newest last."""
        kept = _filter(self._exchange.trades_of.get(key.key, []), request)
        if isinstance(kept, Response):
            return kept
        maker = request.arg("maker_address").lower()
        if maker:
            kept = [trade for trade in kept if maker in trade.wallets()]
        return page(request, kept, lambda trade: self._trade_row(trade, key.key))

    def _trade_row(self, trade: Trade, owner: str) -> orjson.Fragment:
        now = trade.status, trade.updated_ns, trade.transaction_hash
        sent = self._rows.get((trade.id, owner))
        if sent is not None and sent[0] == now:
            return sent[1]
        if len(self._rows) >= _ROWS_MAX:
            self._rows.clear()
        row = orjson.Fragment(orjson.dumps(events.trade_row(trade, owner, prefixed=self._prefixed)))
        self._rows[trade.id, owner] = now, row
        return row

    def builder_trades(self, request: Request) -> Response:
        """GET /builder/trades: fills of orders that carry a builder code."""
        code = request.arg("builder_code").lower()
        if len(code) != 66 or code == ZERO32:
            return failure(400, "Invalid builder code")
        kept = _filter(self._exchange.trades_by_builder.get(code, []), request)
        if isinstance(kept, Response):
            return kept
        return page(request, kept, lambda trade: _builder_row(trade, prefixed=self._prefixed))

    def balance_allowance(self, key: ApiKey, request: Request, *, update: bool) -> Response:
        """GET /balance-allowance[/update]: the venue's cached view of a wallet, in base units."""
        kind = request.arg("signature_type", "0")
        if kind not in {"0", "1", "2", "3"}:
            return failure(400, "Invalid signature type")
        account = self._account(key, int(kind))
        if update and account is not None:
            account.see()
        asset = request.arg("asset_type", "COLLATERAL").upper()
        if asset == "COLLATERAL":
            balance_e6 = 0 if account is None else account.cash_seen_e6
            token_contract = PUSD
        elif asset in {"CONDITIONAL", "CONDITIONAL-V2"}:
            found = self._exchange.tokens.get(request.arg("token_id"))
            if found is None:
                return failure(400, "Invalid token id")
            instrument = 2 * found[0].index + found[1]
            balance_e6 = 0 if account is None else account.tokens_seen_e6(instrument)
            token_contract = CTF if found[0].version == "v1" else POSITION_MANAGER
        else:
            return failure(400, "Invalid asset type")
        allowances = {
            contract: str(0 if account is None else account.allowance_e6(token_contract, contract))
            for _, contract in EXCHANGES.values()
        }
        return success({"balance": str(balance_e6), "allowances": allowances})

    def _account(self, key: ApiKey, kind: int) -> Account | None:
        wallet = self._credentials.wallet_of(key, kind)
        return None if wallet is None else self._exchange.accounts.by_wallet.get(wallet)


def _filter(trades: list[Trade], request: Request) -> list[Trade] | Response:
    wanted, condition = request.arg("id"), request.arg("market")
    token, after, before = request.arg("asset_id"), request.arg("after"), request.arg("before")
    for bound in (after, before):
        if bound and not (bound.isascii() and bound.isdecimal() and len(bound) < 16):
            return failure(400, "Invalid time")
    tests: list[Callable[[Trade], bool]] = []
    if wanted:
        tests.append(lambda trade: trade.id == wanted)
    if condition:
        tests.append(lambda trade: trade.market.condition_id == condition)
    if token:
        tests.append(lambda trade: token in trade.market.tokens)
    if after:
        from_ns = int(after) * NS
        tests.append(lambda trade: trade.match_ns >= from_ns)
    if before:
        until_ns = (int(before) + 1) * NS
        tests.append(lambda trade: trade.match_ns < until_ns)
    return [trade for trade in trades if all(test(trade) for test in tests)]


def _builder_row(trade: Trade, *, prefixed: bool) -> dict[str, Any]:
    market, taker = trade.market, trade.taker
    return {
        "id": trade.id,
        "tradeType": "TAKER",
        "takerOrderHash": taker.id,
        "builder": taker.builder,
        "market": market.condition_id,
        "assetId": market.tokens[taker.outcome],
        "side": "BUY" if taker.side == BUY else "SELL",
        "size": format_fixed(trade.size_e6, 6),
        "sizeUsdc": format_fixed(trade.size_e6 * trade.price_e4 // ONE_E4, 6),
        "price": format_fixed(trade.price_e4, 4),
        "status": events.trade_status(trade, prefixed=prefixed),
        "outcome": market.outcomes[taker.outcome],
        "outcomeIndex": taker.outcome,
        "owner": taker.owner,
        "maker": checksum_address(taker.account),
        "transactionHash": trade.transaction_hash,
        "matchTime": str(trade.match_ns // NS),
        "bucketIndex": trade.bucket_index,
        "fee": format_fixed(trade.fee_e6, 6),
        "feeUsdc": format_fixed(trade.fee_e6, 6),
        "err_msg": None,
        "createdAt": str(trade.match_ns // NS),
        "updatedAt": str(trade.updated_ns // NS),
    }
