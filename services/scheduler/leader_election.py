"""Which of the schedulers of a group has its executors: the one that has lived longest. The others stand by."""

from xylem.shared.runtime.presence import Directory

CANDIDATES = ("starting", "ready", "standby")


def leads(directory: Directory, instance: str, epoch: int, group: str) -> bool:
    """Whether no other scheduler of the group is older. Two that see each other always agree.

    An epoch is the time at which a life began; who was away or cut off begins another one, and so comes last.
    """
    return not any(
        peer.id != instance
        and peer.group == group
        and peer.state in CANDIDATES
        and (peer.epoch, peer.id) < (epoch, instance)
        for peer in directory.known("scheduler")
    )


def has_heir(directory: Directory, instance: str, group: str) -> bool:
    """Whether somebody would take over."""
    return any(
        peer.id != instance and peer.group == group and peer.state in CANDIDATES
        for peer in directory.known("scheduler")
    )
