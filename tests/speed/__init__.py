"""How fast a door is, and against what: measurements of the running daemon, each beside a baseline.

Not a part of the package that is installed on a door; `scripts/bench` runs it from a checkout.
"""
