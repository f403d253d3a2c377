"""Feed engines: connect, decode, apply, publish, resync. Sockets and time come in as ports.

One file an engine: ``polymarket`` (books), ``binance`` (spot), ``prices`` (what settles),
``metadata`` (which markets there are and what trading needs of them). Files with an underscore are
parts of one of these. The row is written before the record that tells of it.
"""
