"""`python -m kernels.native` compiles the library into the package: for images, whose last stage has no compiler."""

import platform

from kernels.native.library import build, prebuilt

if platform.machine() == "x86_64":  # elsewhere the backend is never used
    build(prebuilt())
