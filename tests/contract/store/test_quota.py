"""A project never has more than its limits, and nothing is given back twice."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from tests.support.ledgers import ABOUT, ledger_on

from muniment.domain.refused import Refused
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger
from muniment.store.sqlite import SQLiteRecorder
from muniment.store.writes import CommitReservation, ReleaseReservation, ReleaseSubject, Reserve

PROJECT = "project-1"
LIMITS = {"instances": 2, "volumes": 10, "ram": -1}


def _reserve(subject: UUID, operation: UUID | None = None, *, size: int = 4) -> Reserve:
    return Reserve(
        operation or uuid4(), subject, PROJECT, {"instances": 1, "volumes": size, "ram": 512}, LIMITS
    )


def _counted(ledger: Ledger, resource: str) -> tuple[int, int]:
    with ledger.reading() as reader:
        counted = reader.counted(PROJECT).get(resource, {"in_use": 0, "reserved": 0})
    return counted["in_use"], counted["reserved"]


def test_a_reservation_counts_until_it_is_released(ledger: Ledger) -> None:
    """Reserved, then given back: the project is where it was."""
    reserve = _reserve(uuid4())
    ledger.save([], ABOUT, writes=[reserve])
    assert _counted(ledger, "volumes") == (0, 4)
    ledger.save([], ABOUT, writes=[ReleaseReservation(reserve.operation_id)])
    assert _counted(ledger, "volumes") == (0, 0)


def test_a_committed_reservation_counts_until_its_subject_is_gone(ledger: Ledger) -> None:
    """What exists counts, whatever its operation does later, until the subject is deleted."""
    subject = uuid4()
    reserve = _reserve(subject)
    ledger.save([], ABOUT, writes=[reserve])
    ledger.save([], ABOUT, writes=[CommitReservation(reserve.operation_id)])
    ledger.save([], ABOUT, writes=[ReleaseReservation(reserve.operation_id)])
    assert _counted(ledger, "volumes") == (4, 0)
    ledger.save([], ABOUT, writes=[ReleaseSubject(subject)])
    assert _counted(ledger, "volumes") == (0, 0)


def test_a_released_reservation_does_not_come_back(ledger: Ledger) -> None:
    """A late commit of what was given back counts nothing."""
    reserve = _reserve(uuid4())
    ledger.save([], ABOUT, writes=[reserve])
    ledger.save([], ABOUT, writes=[ReleaseReservation(reserve.operation_id)])
    ledger.save([], ABOUT, writes=[CommitReservation(reserve.operation_id)])
    assert _counted(ledger, "volumes") == (0, 0)


def test_a_subjects_end_releases_all_of_its_operations(ledger: Ledger) -> None:
    """Reserved and committed rows of a subject go together, those of others stay."""
    subject, first, second = uuid4(), uuid4(), uuid4()
    ledger.save([], ABOUT, writes=[_reserve(subject, first), CommitReservation(first)])
    ledger.save([], ABOUT, writes=[Reserve(second, subject, PROJECT, {"volumes": 2}, LIMITS)])
    ledger.save([], ABOUT, writes=[Reserve(uuid4(), uuid4(), PROJECT, {"volumes": 3}, LIMITS)])
    ledger.save([], ABOUT, writes=[ReleaseSubject(subject)])
    assert _counted(ledger, "volumes") == (0, 3)


def test_a_refusal_names_every_exceeded_resource(ledger: Ledger) -> None:
    """Who asks for too much learns all of it at once, with limit, used and asked, and nothing is reserved."""
    for _ in range(2):
        ledger.save([], ABOUT, writes=[_reserve(uuid4())])
    with pytest.raises(Refused) as refusal:
        ledger.save([], ABOUT, writes=[_reserve(uuid4())])
    assert (refusal.value.code, refusal.value.status) == ("quota-exceeded", 413)
    assert refusal.value.details["exceeded"] == {
        "instances": {"limit": 2, "used": 2, "asked": 1},
        "volumes": {"limit": 10, "used": 8, "asked": 4},
    }
    assert _counted(ledger, "ram") == (0, 1024)


def test_a_negative_or_missing_limit_is_none(ledger: Ledger) -> None:
    """Unlimited resources are counted and never refused."""
    ledger.save(
        [], ABOUT, writes=[Reserve(uuid4(), uuid4(), PROJECT, {"ram": 10**9, "backups": 10**9}, {"ram": -1})]
    )
    assert _counted(ledger, "ram") == (0, 10**9)


def test_asking_for_nothing_is_not_refused_under_a_lowered_limit(ledger: Ledger) -> None:
    """A project above a lowered limit may still do what needs no more of it."""
    ledger.save([], ABOUT, writes=[_reserve(uuid4())])
    ledger.save([], ABOUT, writes=[Reserve(uuid4(), uuid4(), PROJECT, {"volumes": 0}, {"volumes": 1})])
    assert _counted(ledger, "volumes") == (0, 4)


def test_projects_count_for_themselves(ledger: Ledger) -> None:
    """One project's use is no other's."""
    ledger.save([], ABOUT, writes=[_reserve(uuid4(), size=10)])
    ledger.save([], ABOUT, writes=[Reserve(uuid4(), uuid4(), "project-2", {"volumes": 10}, LIMITS)])
    assert _counted(ledger, "volumes") == (0, 10)


def test_an_operation_reserves_once(ledger: Ledger) -> None:
    """A second reservation of an operation is a conflict, not a second count."""
    reserve = _reserve(uuid4(), size=1)
    ledger.save([], ABOUT, writes=[reserve])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[reserve])
    assert _counted(ledger, "volumes") == (0, 1)


def test_fifty_at_once_never_exceed(recorder: SQLiteRecorder) -> None:
    """Fifty threads reserve, commit or release, and delete; the limit of seven holds at every moment."""
    ledger, limit, seen = ledger_on(recorder), 7, []

    def live(number: int) -> str:
        operation, subject = uuid4(), uuid4()
        try:
            ledger.save(
                [],
                ABOUT,
                writes=[Reserve(operation, subject, PROJECT, {"instances": 1}, {"instances": limit})],
            )
        except Refused:
            return "refused"
        seen.append(sum(_counted(ledger, "instances")))
        ending = CommitReservation(operation) if number % 2 else ReleaseReservation(operation)
        ledger.save([], ABOUT, writes=[ending])
        seen.append(sum(_counted(ledger, "instances")))
        for _ in range(2):
            ledger.save([], ABOUT, writes=[ReleaseSubject(subject)])
        return "lived"

    with ThreadPoolExecutor(50) as pool:
        ends = list(pool.map(live, range(50)))
    assert max(seen) <= limit
    assert ends.count("lived") >= limit
    assert _counted(ledger, "instances") == (0, 0)
    ledger.save(
        [], ABOUT, writes=[Reserve(uuid4(), uuid4(), PROJECT, {"instances": limit}, {"instances": limit})]
    )
