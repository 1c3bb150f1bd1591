"""Trains and evaluates the model in `xylem/demo_model`, from text that is made up here."""
