"""`xylem check`: looks at what `xylem serve` needs on this machine, and says what to do about what is missing.

Comes in: nothing but a port. Goes out: one finding a line, and exit code 1 when something can't work.
"""
