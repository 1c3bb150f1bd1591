"""Pages of items, as OpenAI's lists have them."""

import msgspec

from xylem.services.gateway.apis.openai_responses.schema import Item
from xylem.shared.runtime.errors import InvalidRequest

MAX_LISTED = 100


class ItemPage(msgspec.Struct, frozen=True, gc=False):
    """A page of a list. has_more: whether items follow the last one of it."""

    data: list[Item]
    first_id: str
    last_id: str
    has_more: bool
    object: str = "list"


def listed(items: list[Item], limit: int, order: str, after: str) -> ItemPage:
    """A page of at most `limit`; order: asc or desc. Raises InvalidRequest when `after` is the id of none of them."""
    ordered = items if order == "asc" else items[::-1]
    first = 0
    if after:
        first = next((i + 1 for i, item in enumerate(ordered) if item.id == after), -1)
        if first < 0:
            raise InvalidRequest(f"there is no item {after[:100]!r} in the list", param="after")
    page = ordered[first : first + limit]
    return ItemPage(
        data=page,
        first_id=page[0].id if page else "",
        last_id=page[-1].id if page else "",
        has_more=first + limit < len(ordered),
    )
