#!/usr/bin/env bash
# triton 3.9.0 with TRITON_INTERPRET=1: tl.dot of two bfloat16 blocks gives numbers around 1e10 where the product is
# around 16, with no error or warning. float32 and float16 blocks of the same values are right to 1e-5. So a kernel that
# is tested in the interpreter must cast bfloat16 to float32 before tl.dot, or is compared with garbage.
#
# Seen with torch 2.13.0 (CPU) on Python 3.11, x86-64:
#   float32 right, float16 right, bfloat16 wrong by more than 1e6
# This script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 triton==3.9.0 numpy
cat > "$work/dot.py" <<'PYTHON'
import torch
import triton
import triton.language as tl


@triton.jit
def dot(a, b, c, N: tl.constexpr):
    i = tl.arange(0, N)
    at = i[:, None] * N + i[None, :]
    tl.store(c + at, tl.dot(tl.load(a + at), tl.load(b + at)))


print("triton", triton.__version__, "torch", torch.__version__)
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    torch.manual_seed(0)
    a, b = torch.randn(16, 16).to(dtype), torch.randn(16, 16).to(dtype)
    c = torch.zeros(16, 16)
    dot[(1,)](a, b, c, 16)
    error = float((c - a.float() @ b.float()).abs().max())
    print(f"{dtype}: largest error {error:.3g}")
    assert (error > 1e6) == (dtype is torch.bfloat16), "the interpreter behaves otherwise now"
PYTHON
TRITON_INTERPRET=1 "$work/venv/bin/python" "$work/dot.py"
