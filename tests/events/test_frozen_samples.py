"""Every event version ever written is still read as what it meant."""

from pathlib import Path

import pytest
from tests.events.frozen import (
    FOLDER,
    decoded,
    domain_topics,
    make_samples,
    read_sample,
    value_of,
    wanted_samples,
)
from tests.support.drawers import DrawerOpened, DrawerOpenedV1

from muniment.domain.event import Event


def test_every_version_has_its_frozen_samples() -> None:
    """A topic without a sample could change its meaning unseen; `python -m tests.events.frozen` writes what is missing."""
    missing = sorted(path.stem for path in wanted_samples() if not path.exists())
    assert missing == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_frozen_sample_reads_as_it_did(path: Path) -> None:
    """A body stored by any release decodes, lifted to the newest version, to the value that was frozen with it."""
    domain_topics()
    sample = read_sample(path)
    event = decoded(sample.topic, sample.body)
    assert (event.TOPIC, value_of(event)) == (sample.reads_as, sample.value)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_no_personal_text_is_in_a_stored_body(path: Path) -> None:
    """Texts of personal fields, which samples mark as such, are sealed wherever in the event they stand."""
    assert "the personal" not in read_sample(path).body


@pytest.mark.parametrize("topic", domain_topics())
def test_a_renamed_field_is_noticed(topic: str) -> None:
    """The check can fail: a body in which one field has another name does not read as the frozen value."""
    (sample, *_) = make_samples(topic, domain_topics()[topic])
    renamed = sample.body.replace('"request_id"', '"another_name"')
    assert value_of(decoded(topic, renamed)) != sample.value


@pytest.mark.parametrize(
    ("topic", "kind"), [("tests.drawer.opened.1", DrawerOpenedV1), ("tests.drawer.opened.2", DrawerOpened)]
)
def test_a_sample_holds_every_field_and_seals_what_is_personal(topic: str, kind: type[Event]) -> None:
    """Samples are made from types alone: personal texts are sealed in them, and old versions read as the newest."""
    (sample,) = make_samples(topic, kind)
    assert sample.reads_as == "tests.drawer.opened.2"
    assert "the personal label" not in sample.body
    assert sample.value["label"] == "the personal label"
