"""The window, by which head office slows gates down."""

import pytest

from gatectl.fleet.marks import window_of


@pytest.mark.parametrize(
    ("commit_s", "waiting", "window"), [(0.01, 0, 256), (1.5, 0, 16), (0.01, 1500, 16), (1.0, 1000, 256)]
)
def test_gates_are_slowed_down_while_the_database_lags(commit_s, waiting, window):
    assert window_of(commit_s, waiting) == window
