"""The runner of a GPU: one step ahead of its host.

Owns: what of the running sequences lies in device memory (their last tokens, page tables and draws, by slot), the CUDA
graphs of decoding steps, and the size of the KV pool. Comes in: rows, as for any runner; a row may have a token that
only the device knows. Goes out: drawn tokens, when somebody waits for them.

What a step does is put on one stream, so that each finds what the one before has written: the host waits for nothing
but the tokens of the step before. All of it runs on a CPU too, on a stand-in for the graphs (tests).

Whether a sequence has come to its end is not checked on the device: the host knows it before the next draw begins, and
a row that takes part once too often costs less than the bookkeeping of ends in every step.
"""
