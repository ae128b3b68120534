"""A value that must not be seen: it prints as `***` and has to be asked for by name."""

from collections.abc import Callable

__all__ = ["Secret"]


class Secret:
    """A password, token or key on its way to the one place that needs it.

    Its text forms are `***`, it cannot be encoded, pickled or compared by accident; `reveal()` is the only way in, and so
    the only word to search for when asking who reads secrets.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        """Take a text (kept as UTF-8) or bytes."""
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The value itself; keep the result in a local name and let it go."""
        return self._value

    def reveal_text(self) -> str:
        """The value as text."""
        return self._value.decode()

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        raise TypeError("a Secret is not pickled")
