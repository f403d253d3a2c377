"""Serve a venue with one deliberate mistake in it: ``python mistaken.py NAME [arguments of sim]``.

For the test that shows the conformance suite notices. Never part of the product.
"""

import sys

from lowlat.sim import entry, matching, server, verify


def signing():
    """Hash orders with two fields of the type swapped."""
    swapped = verify._ORDER_TYPE.replace(
        b"uint256 makerAmount,uint256 takerAmount", b"uint256 takerAmount,uint256 makerAmount"
    )
    assert swapped != verify._ORDER_TYPE
    verify._ORDER_TYPE = swapped


def decoding():
    """Read every order as if it were not post-only."""
    decode = entry._decode_one

    def careless(body):
        post = decode(body)
        post.postOnly = False
        return post

    entry._decode_one = careless


def matching_kinds():
    """Match orders of one token only: no mint, no merge."""
    plan = matching.plan_match

    def narrow(market, order):
        ladder = market.ladder
        whole = type(ladder).opposite

        class OneToken:
            def opposite(self, **terms):
                found = whole(ladder, **terms)
                return (each for each in found if each.outcome == order.outcome)

        class Narrowed:
            ladder = OneToken()
            quantum_e6 = market.quantum_e6
            rules = market.rules

        return plan(Narrowed(), order)

    from lowlat.sim import checks, exchange

    for module in (matching, checks, exchange):
        module.plan_match = narrow


MISTAKES = {"signing": signing, "decoding": decoding, "matching": matching_kinds}

if __name__ == "__main__":
    MISTAKES[sys.argv[1]]()
    sys.exit(server.main(sys.argv[2:]))
