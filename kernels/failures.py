class BackendUnavailable(RuntimeError):
    """A backend that exists can't be used on this machine; the message says why."""
