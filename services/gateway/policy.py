"""The numbers by which the gateway decides: one struct per concern, all of them in GatewayPolicy.

What an operator sets is in GatewaySettings. What stands here is right for everybody; tests shorten the waits.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """Says how a request is tried again, and how much is kept of it meanwhile."""

    # Before the next attempt after so many in a row without a new token; each is jittered by a quarter.
    pauses_s: tuple[float, ...] = (0.02, 0.2, 0.5, 1.0, 2.0)
    max_unknown_answers: int = 2  # in a row: a scheduler that does not know an attempt may have just ended it
    hand_over_timeout_s: float = 2.0  # for a tokenizer to say that it has the attempt
    resume_timeout_s: float = 2.0  # for a detokenizer to say what it has of a stream that broke off
    max_strays: int = 4096  # requests remembered as ended here, so that each is aborted only once
    max_unread_tokens: int = 4096  # of one choice: with more its client reads too slowly and is given up

    @property
    def max_fruitless(self) -> int:
        """Returns the number of attempts in a row without a new token after which a request is given up."""
        return len(self.pauses_s) + 1


@dataclass(frozen=True, slots=True)
class SuspicionPolicy:
    """Says when a request is suspected to end executors, and when it is given up: see generation/suspicion.py."""

    death_weight: int = 1  # of an executor that is gone without a word
    crash_weight: int = 2  # of one that crashed
    suspected_from: int = 2
    given_up_from: int = 4
    probation_tokens: int = 4  # in one attempt, which clear a request


@dataclass(frozen=True, slots=True)
class StallPolicy:
    """Says when schedulers are asked about attempts without news."""

    interval_s: float = 0.5  # between two looks at all attempts
    quiet_s: float = 1.0  # an attempt with a scheduler is asked about after so long without news
    under_way_s: float = 20.0  # one without a scheduler is lost after so long: tokenizing a book takes its time
    status_timeout_s: float = 2.0  # for a scheduler's answer
    max_attempts_per_query: int = 1024


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """Bounds what a connection may cost. How long a client may stand still is a setting: client_timeout_s."""

    backlog: int = 2048  # connections that the kernel holds before they are accepted
    keep_alive_s: int = 75  # of an idle connection; load balancers and client pools keep one for 60 s
    max_head_bytes: int = 64 << 10
    max_url_bytes: int = 8 << 10
    max_headers: int = 128
    max_chunk_line_bytes: int = 1 << 10  # a chunk's size and its extensions
    max_framing_bytes: int = 1 << 20  # of a chunked body, all that is not its content: 150,000 chunks
    max_trailers: int = 32
    max_trailer_bytes: int = 8 << 10
    max_chunks_per_turn: int = 512  # of the event loop: half a millisecond
    unpack_step_bytes: int = 64 << 10  # of a compressed body, in one turn of the event loop
    max_packed_frames: int = 64
    max_window_bits: int = 23  # of zstd: 8 MiB of memory, as RFC 9659 has it
    linger_s: float = 5.0  # for a client to take an answer that came before its request was complete
    send_grace_s: float = 30.0  # after the last choice must have ended, for a client that reads slowly
    shutdown_s: float = 10.0  # for responses to be written out when all requests have ended


@dataclass(frozen=True, slots=True)
class ResponseStorePolicy:
    """Says how the gateways of one model share the responses of /v1/responses."""

    peer_timeout_s: float = 2.0  # for another gateway's answer, longer than peer_read_s
    peer_gone_s: float = 3.0  # until a gateway that does not answer is known to be dead
    peer_read_s: float = 1.0  # how long another gateway's `read` waits here for an event
    max_peer_read_bytes: int = 1 << 18  # of events in one answer
    max_peer_calls: int = 4096  # of other gateways, answered at once
    store_wait_s: float = 2.0  # a background response waits no longer to be stored before its client hears of it
    store_retry_s: float = 5.0  # between two tries to write a record, or to open the bucket
    orphan_scan_s: float = 30.0  # between two looks for orphans; a gateway's death makes one at once


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    """Policy of one gateway, made once by its service; each part of it is handed to what decides by it."""

    attempts: AttemptPolicy = field(default_factory=AttemptPolicy)
    suspicion: SuspicionPolicy = field(default_factory=SuspicionPolicy)
    stalls: StallPolicy = field(default_factory=StallPolicy)
    http: HttpPolicy = field(default_factory=HttpPolicy)
    response_store: ResponseStorePolicy = field(default_factory=ResponseStorePolicy)
    tokenize_timeout_s: float = 30.0  # for the answer of /tokenize, /detokenize and what else asks a tokenizer
    health_timeout_s: float = 20.0  # for the token of /health_generate: a step of a long prompt may lie before it
