"""One decoder, and the table of architectures that it covers.

Owns: the forward pass and what config.json means for it. Comes in: a model card, weights, a step's layout. Goes out:
logits. A family of the usual shape is a row in
`model_config/architectures.py`.
"""
