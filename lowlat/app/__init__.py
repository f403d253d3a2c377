"""Processes: wiring only, one file a process, and what runs beside the engines.

::

    a process     entry, child, engine, recorder, telemetry, settling; runtime, loop (the turn)
    all of them   supervisor, children, seat, topology, office (shared memory), sweep
    config        config, reload, rollout, generations (on disk), sealed (secrets at rest)
    stopping      halts, panic, drain, elsewhere (other processes' halts), armed, live
    people        control, notify, doorbell, log, audit
    wallet        onboarding, settlement, wallet_lock
"""
