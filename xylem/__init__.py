"""What people type: the `xylem` command line. It talks to the services over HTTP and starts them as processes.

Comes in: arguments and settings (`XYLEM_*`, flags of the same names). Goes out: processes, HTTP requests, text.
It imports nothing of the rest of the tree but `shared.settings`.
"""
