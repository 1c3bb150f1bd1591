"""Owns the choice of a scheduler for each request.

Comes in: `Tokenized` from tokenizers (queue group), presence of schedulers. Goes out: the same `Tokenized` to one
scheduler, or `Refused` to the gateway when none takes it. Which prefix lies where is not known here yet.
"""
