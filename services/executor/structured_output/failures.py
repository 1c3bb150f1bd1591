"""Failures of grammars, in words for the client who sent the grammar."""

from xylem.services.executor.failures import SequenceFailed


class GrammarFailed(SequenceFailed):
    """A grammar can't be used."""
