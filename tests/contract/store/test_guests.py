"""What is kept of guests: enrolments are used once, windows move by compare-and-set, waiting bytes keep their order."""

from uuid import UUID, uuid4

import pytest
from tests.support.ledgers import ABOUT

from muniment.clock import ManualClock, seconds
from muniment.domain.refused import Refused
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger
from muniment.store.state import EnrolmentRow, WindowRow
from muniment.store.writes import (
    AddDownlink,
    AddInbox,
    AnswerEnrolment,
    CloseEnrolment,
    KeepAnswer,
    OpenEnrolment,
    PutReply,
    SaveWindow,
    SeenAt,
    TakeDownlink,
    TakeInbox,
    TakeReply,
    WithdrawToken,
)

INSTANCE = UUID(int=7)


def test_an_enrolment_token_burns_at_its_first_use(ledger: Ledger) -> None:
    """The answer replaces the token; a second answer is a conflict, and the first one's bytes stay for a repeat."""
    ledger.save([], ABOUT, writes=[OpenEnrolment(INSTANCE, 1, b"token", 9e9)])
    ledger.save([], ABOUT, writes=[AnswerEnrolment(INSTANCE, 1, b"digest", b"answer")])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[AnswerEnrolment(INSTANCE, 1, b"other", b"forged")])
    with ledger.reading() as reader:
        assert reader.enrolment(INSTANCE) == EnrolmentRow(INSTANCE, 1, None, 9e9, b"digest", b"answer")


def test_an_enrolment_of_another_epoch_is_not_answered(ledger: Ledger) -> None:
    """A token of a newer epoch is not burned by a request of the older."""
    ledger.save([], ABOUT, writes=[OpenEnrolment(INSTANCE, 1, b"old", 9e9)])
    ledger.save([], ABOUT, writes=[OpenEnrolment(INSTANCE, 2, b"new", 9e9)])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[AnswerEnrolment(INSTANCE, 1, b"digest", b"answer")])


def test_a_closed_enrolment_is_forgotten(ledger: Ledger) -> None:
    """After the first authentic message nothing of the enrolment is left; another epoch's is not touched."""
    ledger.save([], ABOUT, writes=[OpenEnrolment(INSTANCE, 2, b"token", 9e9)])
    ledger.save([], ABOUT, writes=[CloseEnrolment(INSTANCE, 1)])
    with ledger.reading() as reader:
        assert reader.enrolment(INSTANCE) is not None
    ledger.save([], ABOUT, writes=[CloseEnrolment(INSTANCE, 2)])
    with ledger.reading() as reader:
        assert reader.enrolment(INSTANCE) is None


def test_an_unused_token_is_withdrawn(ledger: Ledger) -> None:
    """Nobody can enrol with it any more; an answer that a guest may ask for again stays."""
    ledger.save([], ABOUT, writes=[OpenEnrolment(INSTANCE, 1, b"token", 9e9)])
    ledger.save([], ABOUT, writes=[WithdrawToken(INSTANCE)])
    with ledger.reading() as reader:
        assert reader.enrolment(INSTANCE) is None
    ledger.save([], ABOUT, writes=[OpenEnrolment(INSTANCE, 2, b"token", 9e9)])
    ledger.save([], ABOUT, writes=[AnswerEnrolment(INSTANCE, 2, b"digest", b"answer")])
    ledger.save([], ABOUT, writes=[WithdrawToken(INSTANCE)])
    with ledger.reading() as reader:
        assert reader.enrolment(INSTANCE) is not None


def test_a_window_moves_only_from_where_it_was_read(ledger: Ledger) -> None:
    """Two conductors that read the same window: one saves, the other must read again."""
    ledger.save([], ABOUT, writes=[SaveWindow(INSTANCE, "reports", 5, b"a", None)])
    with ledger.reading() as reader:
        before = reader.window(INSTANCE, "reports")
    assert before == WindowRow(INSTANCE, "reports", 5, b"a")
    ledger.save([], ABOUT, writes=[SaveWindow(INSTANCE, "reports", 6, b"a", before)])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[SaveWindow(INSTANCE, "reports", 5, b"b", before)])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[SaveWindow(INSTANCE, "reports", 7, b"c", None)])
    with ledger.reading() as reader:
        assert reader.window(INSTANCE, "reports") == WindowRow(INSTANCE, "reports", 6, b"a")
        assert reader.window(INSTANCE, "heartbeats") is None


def test_the_inbox_keeps_the_order_and_is_taken_once(ledger: Ledger) -> None:
    """Bytes are dealt with in order of arrival; of two conductors one takes a row, the other's save is a conflict."""
    for payload in (b"first", b"second"):
        ledger.save([], ABOUT, writes=[AddInbox(INSTANCE, "envelope", payload, 1.0)])
    with ledger.reading() as reader:
        rows = reader.inbox(10)
    assert [row.payload for row in rows] == [b"first", b"second"]
    ledger.save([], ABOUT, writes=[TakeInbox((rows[0].number,))])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[TakeInbox((rows[0].number,)), SeenAt(INSTANCE, 1.0)])
    with ledger.reading() as reader:
        assert (reader.inbox(10), reader.seen_at(INSTANCE)) == ([rows[1]], None)


def test_one_instance_cannot_fill_the_inbox(ledger: Ledger) -> None:
    """A flood of one guest is refused; another guest is still heard."""
    for _ in range(2):
        ledger.save([], ABOUT, writes=[AddInbox(INSTANCE, "envelope", b"x", 1.0, waiting_max=2)])
    with pytest.raises(Refused) as refusal:
        ledger.save([], ABOUT, writes=[AddInbox(INSTANCE, "envelope", b"x", 1.0, waiting_max=2)])
    assert refusal.value.status == 429
    ledger.save([], ABOUT, writes=[AddInbox(uuid4(), "envelope", b"x", 1.0, waiting_max=2)])


def test_downlinks_wait_in_order_until_taken_or_expired(ledger: Ledger, clock: ManualClock) -> None:
    """A guest's poll sees what is for it and in time; a confirmed row is gone."""
    now_s = seconds(clock.now())
    for payload, lasts_s in ((b"first", 100), (b"second", 5), (b"third", 100)):
        ledger.save([], ABOUT, writes=[AddDownlink(INSTANCE, payload, now_s + lasts_s)])
    ledger.save([], ABOUT, writes=[AddDownlink(uuid4(), b"not ours", now_s + 100)])
    clock.advance(10)
    with ledger.reading() as reader:
        rows = reader.downlinks(INSTANCE, 10)
    assert [row.payload for row in rows] == [b"first", b"third"]
    ledger.save([], ABOUT, writes=[TakeDownlink((rows[0].number,))])
    ledger.save([], ABOUT, writes=[TakeDownlink((rows[0].number,))])
    with ledger.reading() as reader:
        assert reader.downlinks(INSTANCE, 10) == [rows[1]]


def test_a_reply_waits_its_time(ledger: Ledger, clock: ManualClock) -> None:
    """The first answer of a live query is kept until it is taken or too old."""
    query, expires_s = str(uuid4()), seconds(clock.now()) + 5
    for sealed in (b"first", b"second"):
        ledger.save([], ABOUT, writes=[PutReply(query, sealed, expires_s)])
    with ledger.reading() as reader:
        reply = reader.reply(query)
    assert reply is not None
    assert reply.sealed == b"first"
    clock.advance(5)
    with ledger.reading() as reader:
        assert reader.reply(query) is None


def test_a_taken_reply_is_gone(ledger: Ledger) -> None:
    """An answer is given once."""
    ledger.save([], ABOUT, writes=[PutReply("q", b"sealed", 9e9)])
    ledger.save([], ABOUT, writes=[TakeReply("q")])
    with ledger.reading() as reader:
        assert reader.reply("q") is None


def test_last_seen_moves_forward_only(ledger: Ledger) -> None:
    """A beat that was late on its way does not make a guest look silent."""
    for at_s in (30.0, 20.0):
        ledger.save([], ABOUT, writes=[SeenAt(INSTANCE, at_s)])
    with ledger.reading() as reader:
        assert reader.seen_at(INSTANCE) == 30.0
        assert reader.seen_at(uuid4()) is None


def test_an_idempotency_key_keeps_its_first_answer(ledger: Ledger, clock: ManualClock) -> None:
    """Two requests with one key: the second's save is a conflict, until the first answer's time is over."""
    expires_s = seconds(clock.now()) + 5
    ledger.save([], ABOUT, writes=[KeepAnswer("project-1", "key", b"digest", b"first", expires_s)])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[KeepAnswer("project-1", "key", b"digest", b"second", expires_s)])
    ledger.save([], ABOUT, writes=[KeepAnswer("project-2", "key", b"digest", b"theirs", expires_s)])
    with ledger.reading() as reader:
        answer = reader.answer("project-1", "key")
    assert answer is not None
    assert answer.sealed == b"first"
    clock.advance(5)
    with ledger.reading() as reader:
        assert reader.answer("project-1", "key") is None
    ledger.save([], ABOUT, writes=[KeepAnswer("project-1", "key", b"digest", b"third", expires_s + 5)])
