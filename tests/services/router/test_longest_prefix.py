from xylem.services.router.longest_prefix import LongestPrefix
from xylem.services.router.policy import RouterPolicy
from xylem.shared.protocol import GenerationParams, Presence, Tokenized
from xylem.shared.protocol.columns import pack

POLICY = RouterPolicy()
BLOCK_TOKENS, RUNNING_COST = POLICY.block_tokens, POLICY.running_cost_tokens


def request(*blocks: int, salt: str = "") -> Tokenized:
    prompt = pack(token for block in blocks for token in [block] * BLOCK_TOKENS)
    params = GenerationParams(cache_salt=salt)
    return Tokenized(request_id="r", attempt=0, gateway="g", detokenizer="d", prompt_ids=prompt, params=params)


def scheduler(name: str, *, epoch: int = 1, waiting: int = 0, running: int = 0) -> Presence:
    return Presence(kind="scheduler", id=name, epoch=epoch, model="m", waiting=waiting, running=running)


def test_a_conversation_stays_where_it_began() -> None:
    policy = LongestPrefix(POLICY)
    assert policy.select_schedulers(request(1, 2), [scheduler("a"), scheduler("b", running=1)]) == ["a", "b"]
    assert policy.select_schedulers(request(1, 2, 3), [scheduler("a", running=3), scheduler("b")])[0] == "a"
    assert policy.select_schedulers(request(9, 2, 3), [scheduler("a", running=3), scheduler("b")])[0] == "b"


def test_load_outweighs_a_prefix() -> None:
    policy = LongestPrefix(POLICY)
    policy.select_schedulers(request(1), [scheduler("a"), scheduler("b", running=9)])
    even = BLOCK_TOKENS // RUNNING_COST
    assert policy.select_schedulers(request(1), [scheduler("a", running=even - 1), scheduler("b")])[0] == "a"
    assert policy.select_schedulers(request(1), [scheduler("a", running=even + 1), scheduler("b")])[0] == "b"


def test_salts_and_lives_of_a_scheduler_share_nothing() -> None:
    policy = LongestPrefix(POLICY)
    policy.select_schedulers(request(1, 2), [scheduler("b")])
    both = [scheduler("a"), scheduler("b", running=2)]
    assert policy.select_schedulers(request(1, 2), both)[0] == "b"
    assert policy.select_schedulers(request(1, 2, salt="x"), both)[0] == "a"
    policy.select_schedulers(request(3, 4), [scheduler("b")])
    assert policy.select_schedulers(request(3, 4), [scheduler("a"), scheduler("b", epoch=2, running=2)])[0] == "a"


def test_what_is_remembered_is_bounded_and_forgotten_from_the_end() -> None:
    def favourite(num_others: int) -> str:
        policy = LongestPrefix(RouterPolicy(max_remembered_blocks=10))
        policy.select_schedulers(request(1, 2), [scheduler("b")])
        for block in range(num_others):
            policy.select_schedulers(request(1000 + block), [scheduler("c")])
        running = BLOCK_TOKENS // RUNNING_COST + 1  # more than one block weighs, less than two
        return policy.select_schedulers(request(1, 2), [scheduler("a"), scheduler("b", running=running)])[0]

    assert favourite(8) == "b"
    assert favourite(9) == "a"
    policy = LongestPrefix(RouterPolicy(max_remembered_blocks=10))
    policy.select_schedulers(request(1, 2), [scheduler("b")])
    for block in range(9):
        policy.select_schedulers(request(1000 + block), [scheduler("c")])
    order = policy.select_schedulers(request(1, 2), [scheduler("a"), scheduler("b", running=1)])
    assert order[0] == "b"  # the first block is left


def test_nobody_is_there() -> None:
    assert LongestPrefix(POLICY).select_schedulers(request(1), []) == []
