"""Sockets: WebSocket and HTTP clients, socket options, TLS, pacing. Bytes only, no venue words.

``ws`` keeps one connection up, ``http`` keeps several warm for orders (one write each, ``_gate``),
``client`` asks everything else, queued and paced. ``options`` are the socket's, ``backoff`` the
waiting between attempts; ``warm`` and ``ourselves`` end in this process, for rehearsals.
"""
