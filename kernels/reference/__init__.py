"""Plain torch, one file per operation: what is right, on any device."""

from kernels.ops import Ops
from kernels.reference.activation import silu_and_mul
from kernels.reference.adjusting import adjust
from kernels.reference.attention import attention
from kernels.reference.kv import copy_kv, write_kv
from kernels.reference.linear import linear, pack
from kernels.reference.norm import rms_norm
from kernels.reference.rotary import rotate
from kernels.reference.sampling import sample
from kernels.reference.scoring import score

OPS = Ops(
    name="reference",
    rms_norm=rms_norm,
    rotate=rotate,
    silu_and_mul=silu_and_mul,
    pack=pack,
    linear=linear,
    write_kv=write_kv,
    copy_kv=copy_kv,
    attention=attention,
    adjust=adjust,
    score=score,
    sample=sample,
)
