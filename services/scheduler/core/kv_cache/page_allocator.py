"""The page allocator of one executor's KV pool."""


class PagesExhausted(Exception):
    """More pages were asked for than are free."""


class DoubleFree(Exception):
    """A page was freed that was not allocated."""


class PageAllocator:
    """Knows which pages of [0, num_pages) are free, and nothing of what an allocated page is used for."""

    def __init__(self, num_pages: int) -> None:
        self.num_pages = num_pages
        # A stack, lowest page on top: the page freed last is the one most likely still in a cache of the device.
        self._free = list(range(num_pages - 1, -1, -1))
        self._allocated = bytearray(num_pages)

    @property
    def num_free(self) -> int:
        """Number of free pages."""
        return len(self._free)

    def allocate(self, num_pages: int) -> list[int]:
        """Returns `num_pages` pages that were free. Raises PagesExhausted when there are fewer, and allocates none."""
        if num_pages > len(self._free):
            raise PagesExhausted(f"{num_pages} pages asked for, {len(self._free)} free")
        if num_pages == 0:
            return []
        taken = self._free[-num_pages:]
        del self._free[-num_pages:]
        taken.reverse()
        for page in taken:
            self._allocated[page] = 1
        return taken

    def free(self, pages: list[int]) -> None:
        """Frees allocated pages. Raises DoubleFree for a page that is not allocated."""
        for page in pages:
            if not self._allocated[page]:
                raise DoubleFree(f"page {page}")
            self._allocated[page] = 0
            self._free.append(page)

    def free_pages(self) -> list[int]:
        """Returns the free pages, in no particular order."""
        return list(self._free)
