"""Passes: pure functions from program to program that leave the reference result as it is."""
