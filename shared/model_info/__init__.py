"""Every stage may know this of a model without torch: its card, its chat templates, its tokenizer."""
