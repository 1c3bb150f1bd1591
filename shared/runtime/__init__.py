"""Every service runs on this: the bus, the life of a service, heartbeats, settings, errors, traces."""
