"""Networks as pictures.

`graph` reads the flow of tensors, `layers`, `routes` and `fold` lay it out, `picture` composes the levels,
`svg` writes the file; `draw` is the way in.
"""
