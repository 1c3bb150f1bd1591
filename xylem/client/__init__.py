"""The HTTP client. It imports nothing of the services, and httpx alone of other packages."""
