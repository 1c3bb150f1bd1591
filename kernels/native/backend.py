"""The operations of this backend. To import it compiles and loads the library: raises BackendUnavailable."""

from dataclasses import replace

from kernels.cpu import OPS as CPU
from kernels.cpu.experts import mixing
from kernels.native.activation import gelu_and_mul, silu_and_mul
from kernels.native.attention import attention
from kernels.native.heads import rotate_and_write
from kernels.native.kv import new_kv
from kernels.native.layers import fuse_layers
from kernels.native.linear import linear, linear_int4, linear_int8
from kernels.native.norm import add_rms_norm
from kernels.ops import Ops

OPS: Ops = replace(
    CPU,
    name="native",
    add_rms_norm=add_rms_norm,
    rotate_and_write=rotate_and_write,
    silu_and_mul=silu_and_mul,
    gelu_and_mul=gelu_and_mul,
    linears={"none": linear, "int8": linear_int8, "int4": linear_int4},
    mix_experts=mixing(silu_and_mul),
    new_kv=new_kv,
    attention=attention,
    fuse_layers=fuse_layers,
    claims_work=True,
)
