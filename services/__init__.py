"""The six services of the pipeline. Each is a process of its own (`python -m services.NAME`); none imports another."""
