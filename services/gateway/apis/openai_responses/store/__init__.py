"""Stored responses: which gateway makes one, where its record lies, and who adopts it when its gateway dies."""
