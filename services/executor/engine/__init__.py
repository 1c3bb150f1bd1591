"""The engine applies plans and makes steps; the step loop runs it in a thread of its own."""
