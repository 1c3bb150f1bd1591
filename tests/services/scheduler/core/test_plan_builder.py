"""Plans in the making."""

from xylem.services.scheduler.core.plan_builder import PlanBuilder
from xylem.shared.protocol import Plan
from xylem.shared.protocol.columns import unpack


def taken(builder: PlanBuilder) -> Plan:
    plan = builder.take_plan()
    assert plan is not None
    return plan


def test_plans_are_numbered_without_a_gap_and_empty_ones_are_not_sent() -> None:
    builder = PlanBuilder("s", 7, 3)
    first = taken(builder)
    assert (first.epoch, first.executor_epoch, first.number) == (7, 3, 0)
    assert builder.take_plan() is None
    builder.add_drop(5)
    assert taken(builder).number == 1


def test_what_is_dropped_gets_nothing() -> None:
    builder = PlanBuilder("s", 7, 3)
    builder.add_grant(1, [10])
    builder.add_grant(2, [11])
    builder.add_grant(2, [12])
    builder.add_drop(1)
    plan = taken(builder)
    assert list(unpack(plan.drops)) == [1]
    assert list(unpack(plan.grant_ids)) == [2]
    assert list(unpack(plan.grant_counts)) == [2]
    assert list(unpack(plan.grant_pages)) == [11, 12]
