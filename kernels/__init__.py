"""The operations of a decoder on one device: `interface` defines them, `registry` loads a backend (one folder each).

Owns: nothing; every function works on the tensors that it is given. Comes in: tensors of the executor. Goes out:
tensors.
"""
