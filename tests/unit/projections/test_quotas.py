"""Limits from the log, usage from the store."""

from uuid import uuid4

from tests.support.ledgers import ABOUT
from tests.support.shown import projected
from tests.support.strategies import PROJECT

from muniment.domain.quota import PROJECT_QUOTA, QuotaLimitsSet, quota_id, set_limits
from muniment.store.writes import Reserve
from muniment_projections.quotas import Quotas, quota_documents


def test_limits_never_set_are_the_defaults() -> None:
    """A project that nobody ever gave limits has Trove's."""
    _, read_model = projected()

    assert Quotas(read_model).limits("new") == {"instances": 10, "ram": -1, "volumes": 40, "backups": 50}


def test_limits_set_replace_those_named() -> None:
    """Later ones count; those not named follow the defaults of the day; as of before, they were not set."""
    first = set_limits(None, PROJECT, {"instances": 3})
    second = QuotaLimitsSet(
        originator_id=quota_id(PROJECT), originator_version=2, limits={"instances": 4, "ram": 512}
    )
    ledger, read_model = projected(first, [second])
    quotas = Quotas(read_model)

    assert quotas.limits(PROJECT) == {"instances": 4, "ram": 512, "volumes": 40, "backups": 50}
    assert quotas.limits(PROJECT, as_of=1)["instances"] == 3
    assert quotas.limits(PROJECT, defaults={"volumes": 7}) == {"volumes": 7, "instances": 4, "ram": 512}
    state = ledger.load(PROJECT_QUOTA, quota_id(PROJECT))
    assert state is not None
    assert state.limits == {"instances": 4, "ram": 512}


def test_the_quota_resource_joins_limits_and_reservations() -> None:
    """What is in use and reserved comes from the rows that requests are refused by."""
    ledger, read_model = projected()
    reserve = Reserve(uuid4(), uuid4(), PROJECT, {"instances": 1, "volumes": 5}, {})
    ledger.save([], ABOUT, writes=[reserve])

    with ledger.reading() as reader:
        documents = quota_documents(Quotas(read_model).limits(PROJECT), reader.counted(PROJECT))

    assert documents == [
        {"resource": "instances", "in_use": 0, "reserved": 1, "limit": 10},
        {"resource": "ram", "in_use": 0, "reserved": 0, "limit": -1},
        {"resource": "volumes", "in_use": 0, "reserved": 5, "limit": 40},
        {"resource": "backups", "in_use": 0, "reserved": 0, "limit": 50},
    ]
