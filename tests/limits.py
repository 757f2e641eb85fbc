"""The one limit of all tests that wait."""

NET_S = 100.0
"""Nothing takes so long, on a busy machine either; it ends a test that would otherwise wait for ever."""

NET_MS = NET_S * 1000

CLOCKS_S = 5.0
"""Two clocks are read one after the other, and on a busy machine something else runs in between."""
