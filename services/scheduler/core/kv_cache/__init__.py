"""The KV cache of one executor as the scheduler knows it: the radix tree of prefixes and the allocator of pages."""
