"""The scheduler's view of one executor's KV cache: the radix tree of cached prefixes and the page allocator."""
