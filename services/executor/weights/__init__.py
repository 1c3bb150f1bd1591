"""Weights: which tensors of a checkpoint a decoder needs, and how they reach their places."""
