"""The KV cache: its tensors, and how many pages fit into memory."""
