"""The operations of a decoder on one device. `interface` is the one public face; the folders are backends.

Owns: nothing; every function works on the tensors that it is given. Comes in: tensors of the executor. Goes out:
tensors.
"""
