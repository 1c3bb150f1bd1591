"""The generation of one answer: its requests, their attempts in the pipeline, and the output as it arrives."""
