"""Every service stands on this: messages and their subjects, the bus, the service life cycle, settings, errors.

Nothing here knows a particular service, and nothing here imports torch.
"""
