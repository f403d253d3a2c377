"""Kalshi trade API v2: bytes to values. No engine uses it yet.

``catalogue`` and ``exchange`` read what is public, ``orders`` and ``holdings`` what is ours,
``stream`` the socket (``commands`` subscribes). Prices are those of YES, None is what was not said.
"""
