"""Load the trained weights into the three generated programs and compare them on the held-out digits.

    python docs/examples/digits/compare.py out

Each framework runs in its own process, as it would in practice. Prints the accuracy of each and the
largest difference of their logits; exits with 1 if a prediction differs.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from train import digits, held_out

TARGETS = ("torch", "jax", "keras")


def logits(target: str, folder: Path, images: np.ndarray) -> np.ndarray:
    """The logits [n, 10] of one generated program."""
    sys.path.insert(0, str(folder))
    weights = folder / "lenet5.safetensors"
    if target == "torch":
        import torch
        from lenet5_torch import LeNet5, load_weights

        model = LeNet5().eval()
        load_weights(model, weights)
        with torch.no_grad():
            return model(torch.tensor(images)).numpy()
    if target == "jax":
        from lenet5_jax import apply, load_weights

        return np.asarray(apply(load_weights(weights), images))
    from lenet5_keras import LeNet5, load_weights

    model = LeNet5()
    load_weights(model, weights)
    return np.asarray(model(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    images, labels = digits()
    test = held_out(len(labels))
    if arguments.target:
        np.save(arguments.output, logits(arguments.target, arguments.folder, images[test]))
        return

    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for target in TARGETS:
            output = Path(scratch) / f"{target}.npy"
            command = [sys.executable, __file__, str(arguments.folder)]
            subprocess.run([*command, "--target", target, "--output", str(output)], check=True)
            results[target] = np.load(output)
    for target, values in results.items():
        accuracy = (values.argmax(-1) == labels[test]).mean()
        difference = np.abs(values - results["torch"]).max() / np.abs(results["torch"]).max()
        print(f"{target:6} held-out accuracy {accuracy:.2%}  logits differ from torch by {difference:.1e}")
    same = all((values.argmax(-1) == results["torch"].argmax(-1)).all() for values in results.values())
    print("the three programs agree on every digit" if same else "PREDICTIONS DIFFER")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
