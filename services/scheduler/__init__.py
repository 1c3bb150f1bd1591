"""The scheduler: decides which request runs on which executor, and owns the memory of its executors.

Owns: the queue, and for every executor of its group the page tables and the radix tree (`core`).
Comes in: `Tokenized` requests, aborts, step reports, presence of executors.
Goes out: `Plan`s to executors, `Accepted` and `Refused` to gateways, `CacheEvents` to routers.
"""
