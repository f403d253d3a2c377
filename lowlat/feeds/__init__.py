"""Feed engines: decode, apply, publish, resync."""
