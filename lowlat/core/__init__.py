"""The vocabulary: records, units, clocks, ports, errors, config. Imports nothing of lowlat.

Begin with ``layout``: every record that processes share, field by field, and the words we use. Then
``ports`` (what pure engines are given instead of the machine) and ``units`` (text to integers)::

    records    layout, signal (what a module returns), interest, dossier, recovered
    markets    directory (which there are), instruments (which token is which row), freshness,
               resolution (how doubtful the outcome is)
    machine    clock, config, errors; compiled: _ends (records at both ends), _clock, _freshness

Prices are 1e-4 dollar, sizes and cash 1e-6, spot prices 1e-8; times nanoseconds.
"""
