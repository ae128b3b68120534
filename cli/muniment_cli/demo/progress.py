"""What a person sees of the demo: one line a step with its duration, live on a terminal, plain otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

__all__ = ["Progress", "Step"]


@dataclass
class Step:
    """A step that is going on; `note` is what its line says at the end."""

    title: str
    note: str = ""
    live: Callable[[str], None] = field(default=lambda text: None)
    """Shows what is happening right now; only a terminal shows it."""


class Progress:
    """Prints the steps and remembers how long each took."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to standard output unless told otherwise."""
        self._console = console or Console(file=sys.stdout, highlight=False)
        self._clock = clock
        self._began = clock()
        self.durations_s: dict[str, float] = {}

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Do one step; a failure is shown with the time at which it came, and goes on upwards."""
        began = self._clock()
        step = Step(title)
        try:
            if self._console.is_terminal:
                with self._console.status(title) as status:
                    step.live = lambda text: status.update(f"{title}: {text}")
                    yield step
            else:
                yield step
        except BaseException as reason:
            self._line(
                "stopped" if isinstance(reason, KeyboardInterrupt) else "failed",
                title,
                self._clock() - began,
                step.note,
            )
            raise
        took_s = self._clock() - began
        self.durations_s[title] = took_s
        self._line("ok", title, took_s, step.note)

    def say(self, text: str) -> None:
        """A line of its own between steps."""
        self._console.print(text, soft_wrap=True, markup=False)

    def _line(self, mark: str, title: str, took_s: float, note: str) -> None:
        tail = f"  {note}" if note else ""
        self._console.print(f"{mark:<7} {title:<46} {took_s:6.1f} s{tail}", soft_wrap=True, markup=False)
