"""The six services of the pipeline, each a process (`python -m xylem.services.NAME`); none imports another."""
