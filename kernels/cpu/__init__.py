"""What a CPU does faster than the reference.

Packed weights, norms in one pass, attention without copies of heads, and sampling that reads a row of logits once where
the reference goes through it a dozen times.
"""

from dataclasses import replace

from kernels.cpu.adjusting import adjust
from kernels.cpu.attention import attention
from kernels.cpu.experts import mixing, packing
from kernels.cpu.linear import linear, pack
from kernels.cpu.norm import add_rms_norm
from kernels.cpu.sampling import sample
from kernels.cpu.scoring import score
from kernels.ops import Ops
from kernels.reference import OPS as REFERENCE

OPS: Ops = replace(
    REFERENCE,
    name="cpu",
    add_rms_norm=add_rms_norm,
    pack=pack,
    linear=linear,
    pack_experts=packing(pack),
    mix_experts=mixing(linear, REFERENCE.silu_and_mul),
    attention=attention,
    adjust=adjust,
    score=score,
    sample=sample,
)
