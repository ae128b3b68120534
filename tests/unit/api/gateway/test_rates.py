"""Token buckets: what is allowed at once, and how soon again."""

import pytest

from muniment_api.gateway.rates import Rates


def test_burst_and_rate() -> None:
    """A burst passes at once; then one passes every so often; names do not share."""
    now = [100.0]
    rates = Rates(per_s=2.0, burst=3, elapsed=lambda: now[0])
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0]
    assert rates.take("a") == pytest.approx(0.5)
    assert rates.take("b") == 0
    now[0] += 0.5
    assert rates.take("a") == 0
    assert rates.take("a") > 0


def test_never_more_than_a_burst() -> None:
    """However long the pause, no more than a burst passes at once."""
    now = [0.0]
    rates = Rates(per_s=2.0, burst=3, elapsed=lambda: now[0])
    rates.take("a")
    now[0] += 1e6
    assert [rates.take("a") == 0 for _ in range(4)] == [True, True, True, False]


def test_bounded_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound of names the one idle for longest is forgotten."""
    monkeypatch.setattr("muniment_api.gateway.rates._NAMES_MAX", 2)
    rates = Rates(per_s=1.0, burst=1, elapsed=lambda: 0.0)
    assert [rates.take(name) for name in ("a", "b", "c")] == [0, 0, 0]
    assert rates.take("a") == 0
    assert rates.take("c") > 0
