"""Plain torch, one file per operation: what is right, on any device."""

from kernels.ops import Ops
from kernels.reference.activation import silu_and_mul
from kernels.reference.attention import attention
from kernels.reference.linear import linear
from kernels.reference.norm import rms_norm
from kernels.reference.rotary import rotate

OPS = Ops("reference", rms_norm, rotate, silu_and_mul, linear, attention)
