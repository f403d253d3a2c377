"""Engines and simulators in one thread on a virtual clock: same seed, same bytes.

``world`` runs a seed, ``node`` is its machine, ``faults`` draws what goes wrong, ``watch`` says
what must hold after every step; ``runner`` lives through many seeds. ``replay`` lives a capture
again.
"""
