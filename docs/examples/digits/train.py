"""Train the generated LeNet-5 on real handwritten digits: ordinary PyTorch, no dlc.

    dlc build specs/vision/lenet5.dl --target torch,jax,keras --output out
    python docs/examples/digits/train.py out

The digits are the 1,797 scans that ship inside scikit-learn (8x8, resized here to 28x28); every fifth is
held out. The weights are saved as one safetensors file, which all three generated programs load.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.datasets import load_digits


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [1797, 1, 28, 28] with values in 0..1, and labels int64 [1797]."""
    data = load_digits()
    small = torch.tensor(data.images[:, None] / 16.0, dtype=torch.float32)
    images = F.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    return images.numpy(), data.target.astype(np.int64)


def held_out(count: int) -> np.ndarray:
    """A mask of the examples that training never sees."""
    return np.arange(count) % 5 == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where dlc build wrote lenet5_torch.py")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()

    sys.path.insert(0, str(arguments.folder))
    from lenet5_torch import LeNet5

    torch.manual_seed(0)
    images, labels = digits()
    test = held_out(len(labels))
    train_images, train_labels = torch.tensor(images[~test]), torch.tensor(labels[~test])

    model = LeNet5()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.epochs)
    for epoch in range(arguments.epochs):
        model.train()
        for batch in torch.randperm(len(train_labels)).split(64):
            shifts = torch.randint(-2, 3, (2,)).tolist()
            shifted = train_images[batch].roll(shifts, dims=(2, 3))
            loss = F.cross_entropy(model(shifted), train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            predicted = model(torch.tensor(images[test])).argmax(-1).numpy()
        accuracy = float((predicted == labels[test]).mean())
        print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}  held-out accuracy {accuracy:.2%}")

    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, arguments.folder / "lenet5.safetensors")


if __name__ == "__main__":
    main()
