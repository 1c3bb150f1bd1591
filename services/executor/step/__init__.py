"""One step: its rows, what adjusts their logits, their log probabilities, and the interface of a model runner."""
