"""What every service runs on: the bus, the life of a service, heartbeats, settings, errors, traces."""
