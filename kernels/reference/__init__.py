"""Plain torch, one file per operation: what is right, on any device."""

from kernels.ops import Ops
from kernels.reference.activation import gelu_and_mul, silu_and_mul
from kernels.reference.adjusting import adjust
from kernels.reference.attention import attention
from kernels.reference.experts import mix_experts, pack_experts
from kernels.reference.heads import rotate_and_write
from kernels.reference.kv import copy_kv, new_kv
from kernels.reference.latent import write_latent
from kernels.reference.layers import fuse_layers
from kernels.reference.linear import PlainLinear, int4, int8
from kernels.reference.norm import add_rms_norm
from kernels.reference.sampling import sample
from kernels.reference.sampling_on_device import sample_on_device
from kernels.reference.scoring import score

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
