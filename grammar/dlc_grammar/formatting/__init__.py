"""`dlc fmt`, step by step."""
