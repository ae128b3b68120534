"""Where the gateways are, from a file that may change while an agent runs."""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from muniment.fault import Fault

__all__ = ["AddressFile"]


class AddressFile:
    """Base URLs of gateways, one a line; read anew whenever the file changed, so that a moved gateway is found.

    Plain `http://` is taken for loopback addresses alone.
    """

    def __init__(self, path: Path) -> None:
        """Remember the place; the file is read at the first use."""
        self._path = path
        self._mark: tuple[int, int, int] | None = None
        self._addresses: tuple[str, ...] = ()

    def current(self) -> Sequence[str]:
        """The addresses as the file has them now.

        Raises:
            Fault: there is no such file, or a line of it is no address of a gateway.
        """
        try:
            found = self._path.stat()
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
            if mark != self._mark:
                self._addresses = self._parse(self._path.read_text())
                self._mark = mark
        except (OSError, UnicodeDecodeError) as error:
            raise Fault("gateway", f"the file of gateway addresses {self._path} cannot be read") from error
        return self._addresses

    def _parse(self, text: str) -> tuple[str, ...]:
        lines = [line.strip() for line in text.splitlines()]
        addresses = tuple(line.rstrip("/") for line in lines if line and not line.startswith("#"))
        for address in addresses:
            if not _is_usable(address):
                raise Fault("gateway", f"{address!r} in {self._path} is neither https nor http on loopback")
        if not addresses:
            raise Fault("gateway", f"the file of gateway addresses {self._path} names none")
        return addresses


def _is_usable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        if parts.scheme == "https":
            return bool(parts.hostname)
        host = parts.hostname or ""
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False
