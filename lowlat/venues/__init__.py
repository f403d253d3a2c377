"""Sans-IO codecs, one folder a venue: bytes to values and back."""
