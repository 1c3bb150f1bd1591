"""Weights: maps each tensor of a checkpoint to a slice of a parameter, and loads them."""
