"""Own kernels in C for CPUs with AVX-512 and AMX (Intel Sapphire Rapids and newer), where torch's leave speed behind.

What it has no kernel for it takes from the `cpu` backend, type by type. Compiled once by the machine's own C compiler;
see library.py.
"""

from dataclasses import replace

from kernels.cpu import OPS as CPU
from kernels.cpu.experts import mixing
from kernels.native.activation import silu_and_mul
from kernels.native.norm import add_rms_norm
from kernels.ops import Ops

OPS: Ops = replace(
    CPU,
    name="native",
    add_rms_norm=add_rms_norm,
    silu_and_mul=silu_and_mul,
    mix_experts=mixing(CPU.linear, silu_and_mul),
)
