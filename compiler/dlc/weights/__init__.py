"""Weights of others: name maps in `.dl`, checkpoints in safetensors, and the way between them."""
