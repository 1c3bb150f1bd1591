"""This backend holds what a CPU does faster than the reference.

Packed weights, norms in one pass, attention without copies of heads, and sampling that reads a row of logits once where
the reference goes through it a dozen times.
"""

from dataclasses import replace

from xylem.kernels.cpu.adjusting import adjust
from xylem.kernels.cpu.attention import attention
from xylem.kernels.cpu.experts import mixing
from xylem.kernels.cpu.linear import linear
from xylem.kernels.cpu.norm import add_rms_norm
from xylem.kernels.cpu.sampling import sample
from xylem.kernels.cpu.scoring import score
from xylem.kernels.interface import Ops
from xylem.kernels.reference import OPS as REFERENCE

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
