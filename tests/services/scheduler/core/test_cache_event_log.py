"""Cache events in the making."""

from xylem.services.scheduler.core.cache_event_log import CacheEventLog


def test_cache_events_keep_the_order_of_what_happened() -> None:
    log = CacheEventLog("s", "e", 7, max_pages=1024)
    log.add_inserted("", b"a")
    log.add_evicted("", b"b")
    log.add_inserted("", b"b")
    log.add_inserted("tenant", b"secret")
    log.add_evicted("tenant", b"secret")
    first, second = log.take_events()
    assert (first.sequence, first.inserted, first.evicted) == (0, (b"a",), (b"b",))
    assert (second.sequence, second.inserted, second.evicted) == (1, (b"b",), ())
    assert log.take_events() == []
    log.add_evicted("", b"a")
    assert log.take_events()[0].sequence == 2
