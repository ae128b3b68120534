"""Where the API and the gateway may listen."""

import pytest

from muniment.fault import Fault
from muniment_api.listen import refuse_open_gateway, refuse_open_listening


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_tls(host: str) -> None:
    """Loopback addresses are served without TLS."""
    refuse_open_listening(host, tls=False, allow_plain_http=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])  # noqa: S104  refusing it is the point
def test_other_machines_need_tls_or_plain_words(host: str) -> None:
    """An address that others reach is refused with the three ways out, unless one of them is taken."""
    with pytest.raises(Fault, match=r"127\.0\.0\.1.*certificate.*allow_plain_http") as fault:
        refuse_open_listening(host, tls=False, allow_plain_http=False)
    assert not fault.value.retryable
    refuse_open_listening(host, tls=True, allow_plain_http=False)
    refuse_open_listening(host, tls=False, allow_plain_http=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_agents_of_this_machine_reach_the_gateway(host: str) -> None:
    """The gateway is served on loopback addresses."""
    refuse_open_gateway(host, setting="listen.gateway")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])  # noqa: S104  refusing it is the point
def test_no_other_machine_reaches_the_gateway(host: str) -> None:
    """An address that others reach is refused with the gateway's setting and what to set it to."""
    with pytest.raises(Fault, match=r"listen\.gateway .*plain HTTP.*127\.0\.0\.1") as fault:
        refuse_open_gateway(host, setting="listen.gateway")
    assert not fault.value.retryable
