"""Frozen samples: one stored body of every event version ever written, which every later release must still read.

`python -m tests.events.frozen` writes the samples that are missing and touches no other. A sample is never changed
once a release has written its version; what it reads as may, when an upcaster leads to a newer version.
"""

import hashlib
import importlib
import pkgutil
from pathlib import Path

import msgspec
from tests.events.example import examples_of

import muniment.domain
from muniment.domain.event import Event, topics
from muniment.secrets.personal import ProjectKeys
from muniment.store.mapper import decode_event, encode_event

FOLDER = Path(__file__).parent / "samples"

_PROJECT_KEY = hashlib.sha256(b"the key of the frozen samples").digest()


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A body as it was stored, and the event it must be read as."""

    topic: str
    body: str
    reads_as: str
    """The topic of the newest version."""
    value: dict[str, object]


def domain_topics() -> dict[str, type[Event]]:
    """Every topic of the product, of every version."""
    for module in pkgutil.walk_packages(muniment.domain.__path__, "muniment.domain."):
        importlib.import_module(module.name)
    return {name: kind for name, kind in sorted(topics().items()) if kind.__module__.startswith("muniment.")}


def path_of(topic: str, variant: int) -> Path:
    """Where a sample is: one file for each struct that a field of the event may hold."""
    return FOLDER / (f"{topic}.json" if variant == 0 else f"{topic}-{variant}.json")


def read_sample(path: Path) -> Sample:
    """A frozen sample."""
    return msgspec.json.decode(path.read_bytes(), type=Sample)


def decoded(topic: str, body: str) -> Event:
    """What today's code reads in a stored body, with the key under which all samples are sealed."""
    return decode_event(topic, body.encode(), _keys)


def value_of(event: Event) -> dict[str, object]:
    """An event as plain JSON values."""
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(event), type=dict)
    return plain


def make_samples(topic: str, kind: type[Event]) -> list[Sample]:
    """Samples of a version, with every field filled from its type."""
    samples = []
    for example in examples_of(kind):
        body = encode_event(example, _keys).decode()
        event = decoded(topic, body)
        samples.append(Sample(topic=topic, body=body, reads_as=event.TOPIC, value=value_of(event)))
    return samples


def wanted_samples() -> dict[Path, Sample]:
    """The samples that there must be, as today's code would write them."""
    return {
        path_of(topic, variant): sample
        for topic, kind in domain_topics().items()
        for variant, sample in enumerate(make_samples(topic, kind))
    }


def _keys(project_id: str) -> ProjectKeys:
    # One nonce for all: samples must come out the same each time they are made, and hide nothing.
    return ProjectKeys(project_id, [_PROJECT_KEY], lambda count: b"\x07" * count)


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    for path, sample in wanted_samples().items():
        if not path.exists():
            path.write_bytes(msgspec.json.format(msgspec.json.encode(sample), indent=2) + b"\n")
            print(f"froze {path.stem}")


if __name__ == "__main__":
    main()
