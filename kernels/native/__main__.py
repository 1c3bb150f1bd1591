"""`python -m xylem.kernels.native` compiles the library into the package, for images without a compiler."""

import platform

from xylem.kernels.native.library import build, prebuilt

if platform.machine() == "x86_64":  # elsewhere the backend is never used
    build(prebuilt())
