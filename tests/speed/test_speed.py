"""Each measurement runs, with tiny counts, and gives rows that can be read. Nothing here looks at a time."""

import importlib
import io
import json
import math
import os
import threading

import pytest
from rich.console import Console

from speed import process, table
from speed.__main__ import MEASUREMENTS
from speed.profile import _threads
from speed.row import Row, Unavailable, quantile

pytestmark = pytest.mark.timeout(300)


def well_formed(rows):
    assert rows
    assert len({row.figure for row in rows}) == len(rows)
    for row in rows:
        assert not math.isnan(row.value), row
        assert row.target == "" or row.reached in {True, False}
        json.dumps(row.to_json(), allow_nan=False)
    return {row.figure: row for row in rows}


@pytest.mark.parametrize("name", sorted(set(MEASUREMENTS) - {"distance", "budget"}))
def test_a_measurement_gives_rows(name, tmp_path):
    module = importlib.import_module(f"speed.{name}")
    well_formed(list(module.measure(module.TINY, tmp_path)))


def test_hostile_partners_open_nothing_and_no_event_is_missing(tmp_path):
    module = importlib.import_module("speed.budget")
    rows = well_formed(list(module.measure(module.TINY, tmp_path)))
    assert rows["false openings"].value == rows["events missing"].value == 0
    assert "3 good" in rows["false openings"].note, "of sixteen answers, by the seed"


def test_the_distance_is_measured_or_skipped_with_its_reason(tmp_path):
    module = importlib.import_module("speed.distance")
    try:
        rows = list(module.measure(module.TINY, tmp_path))
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert len(well_formed(rows)) == 8


def test_every_measurement_has_its_sizes():
    for name in MEASUREMENTS:
        module = importlib.import_module(f"speed.{name}")
        assert {type(module.FULL), type(module.QUICK), type(module.TINY)} == {module.Size}


def test_a_row_knows_whether_its_target_is_reached():
    assert Row("a", 5.0, "ms").reached is None
    assert Row("a", 5.0, "ms", at_most=5).reached is True
    assert Row("a", 5.1, "ms", at_most=5).reached is False
    assert Row("a", math.nan, "ms", at_most=5).reached is False
    assert Row("a", math.inf, "ms", at_most=5).reached is False
    assert Row("a", 600.0, "/s", at_least=600).reached is True
    assert Row("a", 599.0, "/s", at_least=600).reached is False


def test_a_quantile_is_one_of_the_values():
    hundred = list(range(100, 0, -1))
    assert [quantile(hundred, share) for share in (0.01, 0.5, 0.99, 0.999, 1.0)] == [1, 50, 99, 100, 100]
    assert quantile([7.0], 0.5) == 7.0
    assert math.isnan(quantile([], 0.5))


def test_the_table_shows_figure_target_and_verdict():
    console = Console(width=120, record=True, file=io.StringIO())
    table.table(console, "title", [Row("figure a", 5.1234, "ms", at_most=5, beside=4.0, note="why")])
    shown = console.export_text()
    for words in ("title", "figure a", "5.12 ms", "≤ 5", "missed", "4", "why"):
        assert words in shown


def test_threads_may_end_while_they_are_measured():
    is_over = threading.Event()

    def start_others():
        while not is_over.is_set():
            threading.Thread(target=int).start()

    starting = threading.Thread(target=start_others)
    starting.start()
    try:
        for _ in range(500):
            assert "MainThread" in _threads()
            assert process.used(os.getpid()).cpu_s > 0
    finally:
        is_over.set()
        starting.join()
