"""Elaboration: syntax trees in, `ir.Program`s and diagnostics out.

Compile-time code is run, sizes are bound and checked, and every distinct `(block, parameters, input
types)` becomes one `ir.Definition`.
"""
