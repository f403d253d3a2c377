"""What tests of answers share: three orders that were sent, an answer, the policies by letter."""

import json

from lowlat.core.layout import Action, OrderType
from lowlat.venues.polymarket.rejects import Policy
from lowlat.venues.polymarket.replies import Sent, decode_order_reply

ID = b"\xab" * 32
ID_TEXT, OTHER_TEXT = "0x" + "ab" * 32, "0x" + "cd" * 32
BUY = Sent(ID, Action.BUY, 1_450_000, 5_000_000, OrderType.GTC)
FOK = Sent(ID, Action.BUY, 149_200_000, 317_446_800, OrderType.FOK)
SELL = Sent(ID, Action.SELL, 5_000_000, 1_450_000, OrderType.GTC)
R, L, H, A = Policy.REJECTED, Policy.RETRY_LATER, Policy.HALT, Policy.AMBIGUOUS


def ok(**change):
    answer = {
        "success": True,
        "errorMsg": "",
        "orderID": ID_TEXT,
        "status": "live",
        "makingAmount": "",
        "takingAmount": "",
        "transactionsHashes": [],
        "tradeIDs": [],
    }
    return answer | change


def read(answer, sent=BUY, status=200):
    return decode_order_reply(status, json.dumps(answer).encode(), sent)
