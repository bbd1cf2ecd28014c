"""The proof that generated code means what its specification says.

Every target runs in a process of its own and is compared with the float64 evaluation of the
definitions (`dlc.reference`): outputs, gradients of every parameter and input, and updated states.
"""
