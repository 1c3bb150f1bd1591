"""The router: selects a scheduler for each request.

Owns: what it sent where, as its routing policy remembers it.
Comes in: `Tokenized` from tokenizers (queue group), presence of schedulers.
Goes out: the same `Tokenized` to one scheduler, or `Refused` to the gateway when none takes it.
Not connected yet: `CacheEvents` of schedulers, which say what a radix tree holds and has evicted.
"""
