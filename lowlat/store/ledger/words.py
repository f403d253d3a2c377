"""How ids and names of the records read in the ledger: as the venue and people write them."""

from lowlat.core.layout import ReportRecord
from lowlat.execution.trade_ids import NO_TRADE, trade_digest, trade_text_of

__all__ = ["hex_id", "module_of", "token_of", "trade_name", "trade_of"]


def hex_id(raw: bytes) -> str:
    """Return an order id as the venue writes it."""
    return "0x" + raw.hex()


def token_of(raw: bytes) -> str:
    """Return a token id as the venue writes it: decimal."""
    return str(int.from_bytes(raw, "big"))


def module_of(raw: bytes) -> str:
    """Return a module's name."""
    return raw.rstrip(b"\0").decode("ascii", "replace")


def trade_of(report: ReportRecord) -> str:
    """Return the venue's trade id; its digest when it was too long for a report, "" without one."""
    if report.trade_id == NO_TRADE:
        return ""
    text = report.trade_text.rstrip(b"\0").decode("utf-8", "replace")
    return text or "blake2b:" + report.trade_id.hex()


def trade_name(trade_id: str) -> str:
    """Return how a trade that the venue names is called here: see ``trade_of``."""
    return trade_id if trade_text_of(trade_id) else "blake2b:" + trade_digest(trade_id).hex()
