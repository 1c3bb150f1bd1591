import triton
import triton.language as tl

# Weights are at most 1, and the bits of floats that are not negative are ordered as the floats are.
BITS_OF_1 = tl.constexpr(0x3F800000)


@triton.jit
def floor_below(
    weights: tl.tensor,
    vocab_size: tl.tensor,
    least: tl.tensor,
    bound: tl.tensor,
    by_mass: tl.constexpr,
    block: tl.constexpr,
    arity: tl.constexpr,
) -> tl.tensor:
    """Bits of a float32 that only the likeliest weights lie above: the fewest that reach a bound, and equals of those.

    weights: a row of vocab_size float32, each at most 1. What has to reach the bound is the number of weights or, by
    mass, their sum. least: bits that too much lies above, int32 (-1: everything).

    With f(t) = what the weights with bits > t come to, the smallest t with f(t) < bound is the weight of the last one
    that is needed. A pass over the row takes f at `arity` thresholds, and leaves an arity-th of the bits to look in,
    until it is one step or holds one weight only: ten passes at most, with arity 8. Sampling without sorting by pivots:
    Ye et al., "Sorting-Free GPU Kernels for LLM Sampling", 2025; theirs are drawn, these are fixed.
    """
    low = least  # f(low) reaches the bound
    high = tl.full([], BITS_OF_1, tl.int32)  # f(high) does not: above 1 there is nothing
    above_low = tl.full([], float("inf"), tl.float64)  # f(low), f(high), and what two weights between come to at least
    above_high = tl.zeros([], tl.float64)
    two = tl.zeros([], tl.float64)
    while (high - low > 1) & (above_low - above_high >= two):
        thresholds = low + (tl.arange(0, arity) + 1) * tl.cdiv(high - low, arity)
        sums = tl.zeros([block, arity], tl.float64 if by_mass else tl.int32)
        for start in range(0, vocab_size, block):
            columns = start + tl.arange(0, block)
            weight = tl.load(weights + columns, mask=columns < vocab_size, other=0.0)
            above = weight.to(tl.int32, bitcast=True)[:, None] > thresholds[None, :]
            if by_mass:
                sums += tl.where(above, weight.to(tl.float64)[:, None], 0.0)
            else:
                sums += above.to(tl.int32)
        found = tl.sum(sums, axis=0).to(tl.float64)
        enough = (found >= bound) & (thresholds < high)
        low = tl.maximum(low, tl.max(tl.where(enough, thresholds, low), axis=0))
        high = tl.minimum(high, tl.min(tl.where(enough, high, thresholds), axis=0))
        above_low = tl.minimum(above_low, tl.min(tl.where(enough, found, above_low), axis=0))
        above_high = tl.maximum(above_high, tl.max(tl.where(enough, above_high, found), axis=0))
        if by_mass:
            two = 2.0 * tl.maximum(low, 0).to(tl.float32, bitcast=True).to(tl.float64)
        else:
            two = tl.full([], 2.0, tl.float64)
    return low
