"""Coding agents, each with a whole task, against `xylem serve` with an executor that plays prepared answers."""
