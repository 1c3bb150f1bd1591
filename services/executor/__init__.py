"""The executor: runs sequences of one model, step after step.

Owns: weights, KV pool, step loop, sampling; of each running sequence its length, last token and page table.
Comes in: plans of one scheduler (admits, grants, drops), applied between two steps.
Goes out: for each step a report to the scheduler, and new tokens to the detokenizers.
"""
