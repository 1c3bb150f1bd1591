"""Plans and cache news in the making."""

from xylem.services.scheduler.core.plan_builder import CacheEventLog, PlanBuilder
from xylem.shared.protocol import Plan
from xylem.shared.protocol.columns import unpack


def taken(draft: PlanBuilder) -> Plan:
    plan = draft.take()
    assert plan is not None
    return plan


def test_plans_are_numbered_without_a_gap_and_empty_ones_are_not_sent() -> None:
    draft = PlanBuilder("s", 7, 3)
    first = taken(draft)
    assert (first.epoch, first.executor_epoch, first.number) == (7, 3, 0)
    assert draft.take() is None
    draft.drop(5)
    assert taken(draft).number == 1


def test_what_is_dropped_gets_nothing() -> None:
    draft = PlanBuilder("s", 7, 3)
    draft.grant(1, [10])
    draft.grant(2, [11])
    draft.grant(2, [12])
    draft.drop(1)
    plan = taken(draft)
    assert list(unpack(plan.drops)) == [1]
    assert list(unpack(plan.grant_ids)) == [2]
    assert list(unpack(plan.grant_counts)) == [2]
    assert list(unpack(plan.grant_pages)) == [11, 12]


def test_cache_news_keep_the_order_of_what_happened() -> None:
    news = CacheEventLog("s", "e", 7, 4)
    news.insert("", b"a")
    news.evict("", b"b")
    news.insert("", b"b")
    news.insert("tenant", b"secret")
    news.evict("tenant", b"secret")
    first, second = news.take()
    assert (first.sequence, first.inserted, first.evicted) == (0, (b"a",), (b"b",))
    assert (second.sequence, second.inserted, second.evicted) == (1, (b"b",), ())
    assert news.take() == []
    news.evict("", b"a")
    assert news.take()[0].sequence == 2
