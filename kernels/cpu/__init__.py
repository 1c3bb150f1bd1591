"""What a CPU does faster than the reference.

Packed weights, norms in one pass, attention without copies of heads, and sampling that reads a row of logits once where
the reference goes through it a dozen times.
"""

from dataclasses import replace

from kernels.cpu.adjusting import adjust
from kernels.cpu.attention import attention
from kernels.cpu.experts import mixing
from kernels.cpu.linear import linear
from kernels.cpu.norm import add_rms_norm
from kernels.cpu.sampling import sample
from kernels.cpu.scoring import score
from kernels.ops import Ops
from kernels.reference import OPS as REFERENCE

OPS: Ops = replace(
    REFERENCE,
    name="cpu",
    add_rms_norm=add_rms_norm,
    linears={"none": linear},
    mix_experts=mixing(REFERENCE.silu_and_mul),
    attention=attention,
    adjust=adjust,
    score=score,
    sample=sample,
)
