"""The operations of this backend. To import it compiles and loads the library: raises BackendUnavailable."""

from dataclasses import replace

from xylem.kernels.cpu import OPS as CPU
from xylem.kernels.cpu.experts import mixing
from xylem.kernels.interface import Ops
from xylem.kernels.native.activation import gelu_and_mul, silu_and_mul
from xylem.kernels.native.attention import attention
from xylem.kernels.native.heads import rotate_and_write
from xylem.kernels.native.kv import new_kv
from xylem.kernels.native.layers import fuse_layers
from xylem.kernels.native.linear import linear, linear_int4, linear_int8
from xylem.kernels.native.norm import add_rms_norm

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
