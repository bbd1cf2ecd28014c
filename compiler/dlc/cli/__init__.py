"""The command line: `dlc check`, `dlc build`, `dlc parity` and the other verbs, one module each.

Results go to standard output, progress and diagnostics to standard error. Exit codes: 0 all is well, 1
something is wrong with the input, 2 wrong usage, 70 a bug in dlc, 130 interrupted.
"""
