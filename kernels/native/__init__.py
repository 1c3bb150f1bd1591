"""Own kernels in C for CPUs with AVX-512 and AMX (Intel Sapphire Rapids and newer), where torch's leave speed behind.

What it has no kernel for it takes from the `cpu` backend, type by type. Compiled once by the machine's own C compiler;
see library.py.
"""
