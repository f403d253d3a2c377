"""Signal modules, one file each, and the engine that calls them.

Begin with ``module`` (what one is, and what it is given), then ``bonds``. ``engine`` calls them and
``emit`` makes records of what they return; latency and arbitrage have compiled twins on the hot
path (_path), held to the same bytes. Values are net dollars, floats of a model only.
"""
