"""The text side of dlc: source files, diagnostics, the syntax tree, the parser and the formatter.

In: the text of a `.dl` file. Out: a `syntax.Module`, or diagnostics that point into the text.
Nothing here knows what a program means.
"""
