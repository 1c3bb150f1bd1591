"""The model runner of a GPU: one step ahead of its host.

Owns: the device state of running sequences (last tokens, page tables and sampling parameters, by slot), the CUDA graphs
of decoding steps, and the size of the KV pool. Comes in: rows, as for any runner; a row may have a placeholder for a
token that only the device knows. Goes out: sampled tokens, when the engine reads them.

All work goes to one stream, so that each step finds what the one before has written: the host waits for nothing but the
tokens of the step before. All of it runs on a CPU too, on a stand-in for the graphs (tests).

The device does not check whether a sequence has finished: the host knows it before the next step is sampled, and a row
that takes part once too often costs less than the bookkeeping of ends in every step.
"""
