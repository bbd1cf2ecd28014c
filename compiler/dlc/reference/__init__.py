"""The float64 meaning of a program: the primitives, and an interpreter of the IR with gradients."""
