"""The parts of bench_gpu, a file each. Each measures on one device and gives what it found as JSON can hold it."""
