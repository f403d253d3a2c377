"""The command line, one file a command, named as it is called; ``main`` holds what they share.

Files with an underscore are parts of commands: ``_top_*`` the screens, ``_demo*`` and ``_report``
the demo, ``_views`` and ``_evidence`` what is read of an instance. A command imports what it needs
when it runs: help must be quick. Exit codes are those of ``main``.
"""
