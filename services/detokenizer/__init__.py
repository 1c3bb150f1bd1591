"""The detokenizer: turns tokens of running requests into text.

Owns: the incremental text of running requests and the search for their stop strings.
Comes in: `TokenDeltas` from executors, one message per step; a sequence's `SequenceStart` comes with its first tokens.
Goes out: `TextDeltas`, coalesced per gateway; `Abort` to the scheduler when a stop string ends a sequence.

Text and stop state are pure functions of the token ids, so that replaying them after a failover gives the same.
"""
