"""What a CPU does faster than the reference: norms in one pass, attention without copies of the heads."""

from dataclasses import replace

from kernels.cpu.attention import attention
from kernels.cpu.norm import rms_norm
from kernels.ops import Ops
from kernels.reference import OPS as REFERENCE

OPS: Ops = replace(REFERENCE, name="cpu", rms_norm=rms_norm, attention=attention)
