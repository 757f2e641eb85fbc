"""What the wall clock calls the moments of the other one."""

from gatectl.daemon import clock


def test_names_keep_the_order_of_the_moments_but_show_a_step_of_the_clock(monkeypatch):
    read = iter([1000, 999, 1001, 850, 849, 5_000_000])
    monkeypatch.setattr(clock, "wall_us", lambda _moment: next(read))
    names = clock.Names()
    assert [names.of(0.0) for _ in range(6)] == [1000, 1000, 1001, 850, 850, 5_000_000]
