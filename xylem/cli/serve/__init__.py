"""`xylem serve`: owns the processes of one machine, from their start to their end.

Comes in: flags, environment and signals. Goes out: a NATS server and the six services as child processes, what they
say, and a line with the URL once the gateway is ready. It has no part in serving: all traffic passes it by.
"""
