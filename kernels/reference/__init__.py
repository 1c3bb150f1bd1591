"""Plain torch, one file per operation: what is right, on any device."""

from xylem.kernels.interface import Ops
from xylem.kernels.reference.activation import gelu_and_mul, silu_and_mul
from xylem.kernels.reference.adjusting import adjust
from xylem.kernels.reference.attention import attention
from xylem.kernels.reference.experts import mix_experts, pack_experts
from xylem.kernels.reference.heads import rotate_and_write
from xylem.kernels.reference.kv import copy_kv, new_kv
from xylem.kernels.reference.latent import write_latent
from xylem.kernels.reference.layers import fuse_layers
from xylem.kernels.reference.linear import PlainLinear, int4, int8
from xylem.kernels.reference.norm import add_rms_norm
from xylem.kernels.reference.sampling import sample
from xylem.kernels.reference.sampling_on_device import sample_on_device
from xylem.kernels.reference.scoring import score

OPS = Ops(
    name="reference",
    add_rms_norm=add_rms_norm,
    rotate_and_write=rotate_and_write,
    write_latent=write_latent,
    silu_and_mul=silu_and_mul,
    gelu_and_mul=gelu_and_mul,
    linears={"none": PlainLinear, "int8": int8, "int4": int4},
    pack_experts=pack_experts,
    mix_experts=mix_experts,
    new_kv=new_kv,
    copy_kv=copy_kv,
    attention=attention,
    fuse_layers=fuse_layers,
    adjust=adjust,
    score=score,
    sample=sample,
    sample_on_device=sample_on_device,
)
