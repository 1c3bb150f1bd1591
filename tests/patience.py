"""How long a test waits for what must come: only a test that fails ever waits so long."""

PATIENCE_S = 60.0  # a machine under load can stand still for several seconds, and that is no fault of ours
