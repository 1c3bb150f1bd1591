"""`python -m kernels.native` compiles the library into the package: for images, whose last stage has no compiler."""

from kernels.native.library import PREBUILT, build

build(PREBUILT)
