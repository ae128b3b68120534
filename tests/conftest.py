"""What a test run says of itself: which tests it could not run and what they lack. In CI such a test is a failure."""

import os
from collections.abc import Iterator

import pytest
from tests.support.scratch import scratch

_skipped: dict[str, list[str]] = {}


def pytest_configure() -> None:
    """Directories of `tmp_path` go where all others of the tests do."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(scratch()))
    # A test that names no data directory must not meet the one of the machine it runs on.
    os.environ["MUNIMENT_DATA"] = "/proc/named-by-no-test"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With `CI=true` a skipped test has failed: there the machine must have everything."""
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {_reason(report)}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what could not be run; with several processes this is called where the reports are gathered."""
    if report.skipped:
        _skipped.setdefault(_reason(report), []).append(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what could not be run, by reason."""
    if not _skipped:
        return
    terminalreporter.section("could not be run here (`make deps`, as root, installs system parts)")
    for reason, tests in sorted(_skipped.items()):
        files = sorted({test.partition("::")[0] for test in tests})
        terminalreporter.write_line(f"{len(tests):4} in {', '.join(files)}: {reason}")


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)
