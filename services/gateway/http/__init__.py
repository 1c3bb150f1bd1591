"""HTTP: connections, TLS, keys, errors, and answers as JSON or as server-sent events."""
