"""The error of a model that can't be used."""


class ModelError(Exception):
    """A model that can't be used; the message says what is wrong and with which file."""
