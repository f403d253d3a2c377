"""The venues on loopback, verified by other code than the engine's.

Begin with ``venue`` (all of it, without sockets) and ``exchange`` (the matching engine); ``server``
puts sockets around them. Services (``api``, ``gamma``, ``data_api``, ``relayer``, ``rpc``) answer
requests, channels (``market_ws``, ``user_ws``, ``prices``, ``binance``) push; ``flow``, ``takers``
and ``edges`` trade; ``faults`` and ``door`` break things. From lowlat it imports ``core`` alone.
"""
