"""The figures of references: `PYTHONPATH=tests python -m reference [NAME...] [--targets torch,jax]`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from reference.harness import Bench, catalog, run_reference


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reference", description="Compare with others.")
    parser.add_argument("names", nargs="*", help="references; all without a name")
    parser.add_argument("--targets", default="torch", help="separated by commas")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    given = parser.parse_args()
    wanted = [(module, each) for module, each in catalog() if not given.names or each.name in given.names]
    chosen = [(module, each) for module, each in wanted if each.is_here]
    for _, each in wanted:
        if not each.is_here:
            print(f"{each.name}: {each.library} is not installed", file=sys.stderr)
    rows, ok = [], bool(chosen)
    with Bench() as bench:
        for module, reference in chosen:
            with tempfile.TemporaryDirectory(prefix="dlc-reference-") as folder:
                found = run_reference(bench, module, reference, given.targets.split(","), Path(folder))
            print(reference.name)
            for each in found:
                print(f"  {each}", flush=True)
                ok = ok and each.ok
                rows.append(
                    {
                        "name": reference.name,
                        "library": reference.library,
                        "spec": reference.spec,
                        "net": reference.net,
                        "who": each.who,
                        "mode": each.mode,
                        "dtype": each.dtype,
                        "figure": each.figure,
                        "ok": each.ok,
                        "note": reference.note,
                    }
                )
            if given.json:
                given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
