"""What every stage may know of a model without torch: its card, its chat templates, its tokenizer."""
