"""Sans-IO codecs, one folder a venue: bytes to values and back.

Input that cannot be right is a ProtocolError with a short sample, never a default; unknown fields
and values are tolerated and counted. No sockets, no clock: time comes in as ``now_ns``.
"""
