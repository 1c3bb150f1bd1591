"""Endpoints for operators and tools: health, models, loads, metrics, tokenization, commands to services."""
