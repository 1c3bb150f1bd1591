"""Leader election in a group of schedulers: the one with the oldest epoch has the executors, the others stand by."""

from xylem.shared.runtime.presence import Directory

ELIGIBLE_STATES = ("starting", "ready", "standby")


def is_leader(directory: Directory, instance: str, epoch: int, group: str) -> bool:
    """Whether no other eligible scheduler of the group is older. Two that see each other always agree.

    An epoch is the time at which it began; a scheduler that was stopped or cut off begins another one and comes last.
    """
    return not any(
        peer.id != instance
        and peer.group == group
        and peer.state in ELIGIBLE_STATES
        and (peer.epoch, peer.id) < (epoch, instance)
        for peer in directory.known("scheduler")
    )


def has_standby(directory: Directory, instance: str, group: str) -> bool:
    """Whether another scheduler of the group would take over from `instance`."""
    return any(
        peer.id != instance and peer.group == group and peer.state in ELIGIBLE_STATES
        for peer in directory.known("scheduler")
    )
