"""These tests run kernels: on a GPU, or interpreted in a process of its own, which test_interpreted.py starts."""

import os

import torch

if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob = ["test_*.py"]
