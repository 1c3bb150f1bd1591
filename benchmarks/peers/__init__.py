"""Others that serve the same weights, each a file that runs in an environment of its own (environments.py makes it).

A file says about itself what it needs (ABOUT) and runs as `python -m benchmarks.peers.NAME`; protocol.py says what it
is told and how it answers. Only the standard library is imported outside of its functions, because rivals.py, which
has the table of them, reads these files too.
"""
