"""Sockets: WebSocket and HTTP clients, socket options, TLS, pacing. Bytes only, no venue words."""
