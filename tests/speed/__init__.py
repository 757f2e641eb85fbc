"""The speed of a door: measurements of the running daemon, each compared with a baseline.

Not a part of the package that is installed on a door; `scripts/bench` runs it from a checkout.
"""
