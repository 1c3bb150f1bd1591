"""What is measured, against whom, and how to repeat it. `python -m benchmarks.NAME --help`; results in README.md."""
