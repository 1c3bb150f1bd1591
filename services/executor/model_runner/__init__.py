"""Model runners: a loaded model on a CPU or a GPU, which turns the rows of a step into tokens."""
