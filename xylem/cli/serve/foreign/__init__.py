"""Flags of SGLang, vLLM and llama.cpp that `xylem serve` takes, so that a command line of theirs goes on working."""
