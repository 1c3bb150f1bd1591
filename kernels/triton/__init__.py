"""Own Triton kernels for GPUs: the backend that any CUDA machine can run, with nothing to compile beforehand.

What torch's own libraries do best stays with them: products of matrices (cuBLAS). No kernel is tuned by trial:
functions of the shape choose block sizes, so that a start is quick, a graph can be captured, and every choice can be
compiled on a machine without a GPU (tests/kernels/triton). With TRITON_INTERPRET=1 the kernels run on a CPU, slowly.
"""

from dataclasses import replace

import torch
from triton import knobs

from xylem.kernels.failures import BackendUnavailable
from xylem.kernels.interface import Ops
from xylem.kernels.reference import OPS as REFERENCE
from xylem.kernels.reference.linear import PlainLinear
from xylem.kernels.triton.activation import gelu_and_mul, silu_and_mul
from xylem.kernels.triton.adjusting import adjust
from xylem.kernels.triton.attention import attention
from xylem.kernels.triton.experts import mix_experts, pack_experts
from xylem.kernels.triton.heads import rotate_and_write
from xylem.kernels.triton.kv import copy_kv
from xylem.kernels.triton.latent_write import write_latent
from xylem.kernels.triton.norm import add_rms_norm
from xylem.kernels.triton.sampling import sample, sample_on_device
from xylem.kernels.triton.scoring import score

# Products and sums may be one instruction; Triton warns of versions to come that default to less unless it is said.
knobs.language.default_fp_fusion = True

OPS: Ops = replace(
    REFERENCE,
    name="triton",
    add_rms_norm=add_rms_norm,
    rotate_and_write=rotate_and_write,
    write_latent=write_latent,
    silu_and_mul=silu_and_mul,
    gelu_and_mul=gelu_and_mul,
    linears={"none": PlainLinear},  # the reference's coarser ones are as large: nobody who asks for int8 wants that
    pack_experts=pack_experts,
    mix_experts=mix_experts,
    copy_kv=copy_kv,
    attention=attention,
    adjust=adjust,
    score=score,
    sample=sample,
    sample_on_device=sample_on_device,
)


def load(device: torch.device) -> Ops:
    """The backend for a device. Raises BackendUnavailable for one that is no GPU, unless kernels are interpreted."""
    if device.type != "cuda" and not knobs.runtime.interpret:
        raise BackendUnavailable(f"the triton kernels need a GPU, not the device {device.type!r}")
    return OPS
