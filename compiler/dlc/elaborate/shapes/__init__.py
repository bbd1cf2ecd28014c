"""Shape rules of the primitives whose result type a signature cannot express."""
