"""Feed engines: connect, decode, apply, publish, resync. Sockets and time come in as ports."""
