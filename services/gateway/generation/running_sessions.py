"""The sessions that run in this gateway, by their names: so that one can be ended from outside."""

from typing import Protocol

from xylem.services.gateway.generation.generation_request import GenerationRequest


class AbortableSession(Protocol):
    """Can be ended: a GenerationSession. names: to the indices of the choices that each stands for."""

    request: GenerationRequest
    names: dict[str, list[int]]

    def abort_choices(self, indices: list[int]) -> int:
        """Ends choices. Returns how many of them still ran."""


class RunningSessions:
    """Names are the clients' own and need not be unique: all that have one are meant by it."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[AbortableSession]] = {}

    def add_session(self, session: AbortableSession) -> None:
        for name in session.names:
            self._by_name.setdefault(name, []).append(session)

    def remove_session(self, session: AbortableSession) -> None:
        """Does nothing to one that was never added."""
        for name in session.names:
            left = [other for other in self._by_name.get(name, ()) if other is not session]
            if left:
                self._by_name[name] = left
            else:
                self._by_name.pop(name, None)

    def abort_named(self, name: str | None, tenant: str) -> int:
        """Ends what a tenant calls so, or with None all that he runs. Returns the number of sequences that ended."""
        names = list(self._by_name) if name is None else [name]
        found = [(each, session) for each in names for session in self._by_name.get(each, ())]
        return sum(
            session.abort_choices(session.names[each])
            for each, session in found
            if session.request.params.tenant == tenant
        )
