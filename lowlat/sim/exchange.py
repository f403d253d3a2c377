"""The matching engine of the simulated venue: checks, delays, matches, cancels, resolutions.

Pure and deterministic: time comes in as ``now_ns`` (wall), later things go to the timers, news goes
to listeners, chance comes from one seeded source. Source: polymarket.md 5, 6, 12, 18.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final, NamedTuple

from lowlat.sim import rules
from lowlat.sim.accounts import Account, Accounts
from lowlat.sim.catalog import Event, Market
from lowlat.sim.checks import check_order, funds_error, post_only_error
from lowlat.sim.config import SimConfig
from lowlat.sim.faults import Faults
from lowlat.sim.ladder import BUY, Order, ceil_cash_e6
from lowlat.sim.listener import Listener
from lowlat.sim.matching import Plan, commit, plan_match
from lowlat.sim.timers import Timers
from lowlat.sim.trades import Settlement, Trade

__all__ = ["Exchange", "Placed"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000


class Placed(NamedTuple):
    """What became of a posted order. ``error`` is empty for an accepted one."""

    http_status: int
    error: str
    order_id: str = ""
    status: str = ""
    making_e6: int = 0
    taking_e6: int = 0
    trade_ids: tuple[str, ...] = ()


Reply = Callable[[Placed], None]


class Exchange:
    """All markets and orders. Written by its own methods only."""

    def __init__(self, config: SimConfig, timers: Timers, rng: Random, faults: Faults) -> None:
        self.config = config
        self.accounts = Accounts()
        self.markets: list[Market] = []
        self.tokens: dict[str, tuple[Market, int]] = {}
        self.conditions: dict[str, Market] = {}
        self.orders: dict[str, Order] = {}
        self.open_of: dict[str, dict[str, Order]] = {}
        self.trades_of: dict[str, list[Trade]] = {}
        self.trades_by_builder: dict[str, list[Trade]] = {}
        self.neg_risk_events: dict[str, Event] = {}
        self.listeners: list[Listener] = []
        self.faults = faults
        self._held: dict[str, Order] = {}
        self._timers = timers
        self._rng = rng
        self.settlement = Settlement(config, self.accounts, timers, rng, faults, self._trade_moved)

    # ----------------------------------------------------------------------------- markets
    def list_market(self, market: Market, now_ns: int, delay_ns: int = 0) -> None:
        """Take a market into the list and open it for trading, at once or later."""
        assert market.index == len(self.markets), f"market {market.index} out of order"
        self.markets.append(market)
        if market.event.neg_risk_id:
            self.neg_risk_events[market.event.neg_risk_id] = market.event
        if delay_ns:
            market.accepting = False
            self._timers.at(now_ns + delay_ns, lambda at_ns: self._open(market, at_ns))
        else:
            self._open(market, now_ns)

    def _open(self, market: Market, now_ns: int) -> None:
        """Let the order-book service know a market, and announce it."""
        market.accepting = True
        self.conditions[market.condition_id] = market
        for outcome, token in enumerate(market.tokens):
            self.tokens[token] = (market, outcome)
        for listener in self.listeners:
            listener.on_new_market(market, now_ns)

    def change_tick(self, market: Market, tick_e4: int, now_ns: int) -> None:
        """Move a market to another grid; resting orders stay where they are."""
        old_tick_e4 = market.tick_e4
        market.set_tick(tick_e4)
        for listener in self.listeners:
            listener.on_tick(market, old_tick_e4, now_ns)

    def resolve(self, market: Market, winner: int, now_ns: int) -> None:
        """End a market: orders go, the winner is announced, tokens are paid once settled."""
        market.accepting = False
        market.closed = True
        market.winner = winner
        for order in market.ladder.orders():
            self._close(order, "CANCELED_MARKET_RESOLVED", now_ns)
        for listener in self.listeners:
            listener.on_resolved(market, now_ns)
        self._redeem(market, winner, now_ns)

    def _redeem(self, market: Market, winner: int, now_ns: int) -> None:
        """Fix the payout once every trade settled; redeem for all who leave that to the venue."""
        if self.settlement.pending(market.index):
            retry_ns = now_ns + 100 * MS
            self._timers.at(retry_ns, lambda at_ns: self._redeem(market, winner, at_ns))
            return
        self.accounts.resolve(market.index, winner)
        for account in list(self.accounts.by_wallet.values()):
            held_e6 = account.tokens_e6.get(2 * market.index + winner, 0)
            if not account.redeems_itself:
                self.accounts.redeem(market.index, account)
                if held_e6:
                    self.tell_move("REDEEM", account.wallet, market, held_e6, held_e6, now_ns)
        self.accounts.audit(market.index)

    def tell_move(
        self,
        kind: str,
        wallet: str,
        market: Market,
        size_e6: int,
        cash_e6: int,
        now_ns: int,
        transaction: str = "",
    ) -> None:
        """Tell of tokens and cash that no trade moved."""
        for listener in self.listeners:
            listener.on_move(kind, wallet, market, size_e6, cash_e6, now_ns, transaction)

    # ----------------------------------------------------------------------------- orders
    def submit(self, order: Order, taker_amount_e6: int, now_ns: int, reply: Reply) -> None:
        """Check an order and match, rest, hold or refuse it; reply exactly once, maybe later.

        ``order.maker_amount_e6`` and ``taker_amount_e6`` are as signed.
        """
        market = self.markets[order.market]
        error = check_order(self.config, market, order, taker_amount_e6, now_ns)
        if error is None and order.id in self.orders:
            error = f"order {order.id} is invalid. Duplicated."
        error = error or funds_error(self.accounts, market, order) or post_only_error(market, order)
        if error is not None:
            reply(Placed(400, error))
            return
        order.created_ns = now_ns
        self.orders[order.id] = order
        crosses = market.met_by(order)
        if not crosses or not (market.rules.itode or market.rules.sd_s):
            reply(self._execute(order, market, now_ns))
        elif market.rules.sd_s:
            self._hold(order)
            due_ns = now_ns + market.rules.sd_s * NS
            # Its answer leaves now: the user channel tells the rest.
            self._timers.at(due_ns, lambda at_ns: self._after_hold(order, market, at_ns))
            order.announced = True
            self._tell_order(order, "PLACEMENT", "DELAYED", now_ns)
            reply(Placed(200, "", order.id, "delayed"))
        else:
            self._hold(order)
            due_ns = now_ns + self.config.taker_delay_ms * MS
            self._timers.at(due_ns, lambda at_ns: reply(self._after_hold(order, market, at_ns)))

    # ----------------------------------------------------------------------------- delays
    def _hold(self, order: Order) -> None:
        order.state = "DELAYED"
        self._held[order.id] = order
        self._reserve(order, order.maker_amount_e6 if order.side == BUY else order.size_e6)

    def _after_hold(self, order: Order, market: Market, now_ns: int) -> Placed:
        """Validate again and match against the book of this moment. Source: 12.2."""
        del self._held[order.id]
        self._reserve(order, 0)
        error = None if market.accepting else "the market is not yet ready to process new orders"
        if order.price_e4 % market.tick_e4:
            error = rules.price_error(
                order.id, order.side, order.maker_amount_e6, order.size_e6, market.tick_e4, None
            )
        error = error or funds_error(self.accounts, market, order)
        if error is not None:
            order.state = "INVALID"
            self._tell_order(order, "CANCELLATION", "INVALID", now_ns)
            return Placed(400, error)
        return self._execute(order, market, now_ns)

    # ----------------------------------------------------------------------------- matching
    def _execute(self, order: Order, market: Market, now_ns: int) -> Placed:
        plan = plan_match(market, order)
        # Only the long delay was told before; a short hold is silent until it ends.
        announced = order.announced
        if order.is_market and (not plan.fills or (order.order_type == "FOK" and not plan.full)):
            text = rules.TEXT_FOK if order.order_type == "FOK" else rules.TEXT_FAK
            order.state = "CANCELED"
            status = "UNMATCHED" if announced else f"CANCELED_{text}"
            self._tell_order(order, "CANCELLATION", status, now_ns)
            return Placed(400, text)
        trades = self._commit(order, market, plan, now_ns) if plan.fills else []
        if not order.is_market and order.remaining_e6:
            self._rest(order, market, now_ns)
        else:
            order.state = "MATCHED"
        self._tell_order(order, "UPDATE" if announced else "PLACEMENT", order.state, now_ns)
        self._announce(market, trades, order, now_ns)
        self.accounts.audit_event(market.index)
        if not trades:
            return Placed(200, "", order.id, "live")
        making, taking = (
            (plan.cost_e6, plan.size_e6)
            if order.side == BUY
            else (
                plan.size_e6,
                plan.cost_e6,
            )
        )
        ids = tuple(trade.id for trade in trades)
        return Placed(200, "", order.id, "matched", making, taking, ids)

    def _commit(self, order: Order, market: Market, plan: Plan, now_ns: int) -> list[Trade]:
        """Move money and orders for a plan; makers hear of it, the taker's placement follows."""
        trades = commit(plan, market, order, self.accounts, self._uuid)
        for trade in trades:
            trade.match_ns = trade.updated_ns = now_ns
            market.last_trade_e4 = trade.price_e4 if not order.outcome else 10_000 - trade.price_e4
            market.last_trade_side = "BUY" if order.side == BUY else "SELL"
            market.volume_e6 += trade.size_e6
            order.trades.append(trade.id)
            for fill in trade.fills:
                maker = fill.order
                maker.trades.append(trade.id)
                self._reserve(maker, _claim_e6(maker))
                if not maker.remaining_e6:
                    market.ladder.remove(maker)
                    self._forget(maker, "MATCHED")
            for owner in trade.parties():
                self.trades_of.setdefault(owner, []).append(trade)
            if order.builder:
                self.trades_by_builder.setdefault(order.builder, []).append(trade)
        for trade in trades:
            self.settlement.take(trade, now_ns)
            for fill in trade.fills:
                status = "LIVE" if fill.order.remaining_e6 else "MATCHED"
                self._tell_order(fill.order, "UPDATE", status, now_ns)
        return trades

    def _rest(self, order: Order, market: Market, now_ns: int) -> None:
        assert not market.met_by(order), f"{order.id} would rest across the book"
        order.state = "LIVE"
        self._reserve(order, _claim_e6(order))
        market.ladder.add(order)
        self.open_of.setdefault(order.owner, {})[order.id] = order
        if order.order_type == "GTD":
            due_ns = (order.expiration_s - self.config.gtd_early_s) * NS
            self._timers.at(max(due_ns, now_ns), lambda at_ns: self._expire(order, at_ns))

    def _expire(self, order: Order, now_ns: int) -> None:
        if order.state == "LIVE":
            self._close(order, "CANCELED_EXPIRED_ORDER", now_ns)

    def _announce(self, market: Market, trades: list[Trade], order: Order, now_ns: int) -> None:
        """Tell the market sockets: trades bring a book, a plain placement brings its level."""
        for listener in self.listeners:
            if trades:
                listener.on_trades(market, trades, now_ns)
            elif order.state == "LIVE":
                listener.on_levels(market, [(order.is_bid, order.yes_price_e4)], now_ns)

    # ----------------------------------------------------------------------------- cancels
    def cancel(self, order_id: str, owner: str, now_ns: int) -> str | None:
        """Take a resting order out; return the reason when that is not possible."""
        order = self.orders.get(order_id)
        if order is None or order.owner != owner:
            return "order not found"
        if order.state == "DELAYED":
            return "cannot cancel because the order is in delayed status"
        if order.state != "LIVE":
            return "already canceled or matched"
        self._close(order, "CANCELED", now_ns)
        return None

    def cancel_many(self, orders: Iterable[Order], now_ns: int) -> list[str]:
        """Take resting orders out (cancel-all, heartbeat, flow); return their ids."""
        ids = []
        levels: dict[int, list[tuple[bool, int]]] = {}
        for order in list(orders):
            if order.state == "LIVE":
                self._take_out(order, "CANCELED", now_ns)
                levels.setdefault(order.market, []).append((order.is_bid, order.yes_price_e4))
                ids.append(order.id)
        for index, changes in levels.items():
            for listener in self.listeners:
                listener.on_levels(self.markets[index], changes, now_ns)
        return ids

    def recheck_funds(self, account: Account, now_ns: int) -> None:
        """Cancel a wallet's newest orders that money moved on chain no longer covers.

        Orders held for the taker delay lose their claim and are checked when it ends.
        """
        wallet = account.wallet.lower()
        for order in self._held.values():
            if order.account == wallet and self._short(account, order):
                self._reserve(order, 0)
        mine = [
            order
            for owner, orders in self.open_of.items()
            if owner
            for order in orders.values()
            if order.account == wallet
        ]
        for order in sorted(mine, key=lambda each: each.created_ns, reverse=True):
            if self._short(account, order):
                self._close(order, "CANCELED_NOT_ENOUGH_BALANCE", now_ns)

    def _short(self, account: Account, order: Order) -> bool:
        if order.side == BUY:
            return account.cash_e6 < account.cash_reserved_e6
        instrument = 2 * order.market + order.outcome
        held_e6 = account.tokens_e6.get(instrument, 0)
        return held_e6 < account.tokens_reserved_e6.get(instrument, 0)

    def requote(
        self, market: Market, cancels: Iterable[Order], quotes: Iterable[Order], now_ns: int
    ) -> list[Order]:
        """Replace generated quotes of one market in one change; return those that rest now.

        Quotes that would cross, or that their account cannot pay, are left out.
        """
        changes = []
        for order in cancels:
            if order.state == "LIVE":
                self._take_out(order, "CANCELED", now_ns)
                changes.append((order.is_bid, order.yes_price_e4))
        rested = []
        for order in quotes:
            if market.closed or funds_error(self.accounts, market, order) is not None:
                continue
            if market.met_by(order):
                continue
            self.orders[order.id] = order
            order.created_ns = now_ns
            self._rest(order, market, now_ns)
            changes.append((order.is_bid, order.yes_price_e4))
            rested.append(order)
        if changes:
            for listener in self.listeners:
                listener.on_levels(market, changes, now_ns)
        return rested

    def take(self, order: Order, market: Market, now_ns: int) -> list[Trade]:
        """Match a taker of the generated flow by shares; what is left of it is dropped."""
        if not market.accepting or funds_error(self.accounts, market, order) is not None:
            return []
        plan = plan_match(market, order)
        if not plan.fills:
            return []
        trades = self._commit(order, market, plan, now_ns)
        order.state = "MATCHED"
        self._announce(market, trades, order, now_ns)
        self.accounts.audit_event(market.index)
        return trades

    def _close(self, order: Order, status: str, now_ns: int) -> None:
        self._take_out(order, status, now_ns)
        market = self.markets[order.market]
        for listener in self.listeners:
            listener.on_levels(market, [(order.is_bid, order.yes_price_e4)], now_ns)

    def _take_out(self, order: Order, status: str, now_ns: int) -> None:
        self.markets[order.market].ladder.remove(order)
        self._reserve(order, 0)
        self._forget(order, "CANCELED")
        order.canceled = status
        self._tell_order(order, "CANCELLATION", status, now_ns)

    # ----------------------------------------------------------------------------- pieces
    def _reserve(self, order: Order, claim_e6: int) -> None:
        """Set what an order claims of its account: cash for a BUY, tokens for a SELL."""
        account: Account = self.accounts.by_wallet[order.account]
        change_e6 = claim_e6 - order.reserved_e6
        order.reserved_e6 = claim_e6
        if order.side == BUY:
            account.cash_reserved_e6 += change_e6
        else:
            account.reserve_tokens(2 * order.market + order.outcome, change_e6)

    def _forget(self, order: Order, state: str) -> None:
        """Move an order out of the open ones; generated flow leaves no trace."""
        order.state = state
        self.open_of[order.owner].pop(order.id, None)
        if not order.owner:
            self.orders.pop(order.id, None)

    def _tell_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        if order.owner:
            for listener in self.listeners:
                listener.on_order(order, kind, status, now_ns)
        elif order.state in {"MATCHED", "CANCELED", "INVALID"}:
            self.orders.pop(order.id, None)

    def _trade_moved(self, trade: Trade, now_ns: int) -> None:
        for listener in self.listeners:
            listener.on_trade(trade, now_ns)

    def _uuid(self) -> str:
        raw = f"{self._rng.getrandbits(128):032x}"
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"


def _claim_e6(order: Order) -> int:
    if order.side == BUY:
        return ceil_cash_e6(order.price_e4, order.remaining_e6)
    return order.remaining_e6
