"""Bugs of boxes: what two of them share, and which ones non-maximum suppression keeps."""

from mutation.mutants.table import Mutant, change, each, everywhere
from mutation.proving import Place

OVERLAP = Place("boxes:Overlap")
KEPT = Place("boxes:Kept")
SHARED = "return iou(first, second)"
CHOSEN = "place, count = nms"

MUTANTS = (
    Mutant(
        "shared part counted twice",
        OVERLAP,
        SHARED,
        "the intersection is not taken off the sum of the areas",
        everywhere(r"box_area\(b\) - shared \+", "box_area(b) +"),
    ),
    Mutant(
        "intersection over the smaller box",
        OVERLAP,
        SHARED,
        "the divisor is the smaller area, not that of the union",
        each(
            torch=change(
                r"box_area\(a\) \+ box_area\(b\) - shared", "torch.minimum(box_area(a), box_area(b))"
            ),
            jax=change(r"box_area\(a\) \+ box_area\(b\) - shared", "jnp.minimum(box_area(a), box_area(b))"),
            keras=change(r"box_area\(a\) \+ box_area\(b\) - shared", "ops.minimum(box_area(a), box_area(b))"),
        ),
    ),
    Mutant(
        "areas of whole pixels",
        OVERLAP,
        SHARED,
        "1 is added to widths and heights, as in the first detectors",
        everywhere(r"x\[\.\.\., 2:\] - x\[\.\.\., :2\]", r"\g<0> + 1.0"),
    ),
    Mutant(
        "boxes that do not touch",
        OVERLAP,
        SHARED,
        "two boxes apart in both directions share a part, for the signs cancel",
        everywhere(r"(shared = )[\w.]*relu\(", r"\1("),
    ),
    Mutant(
        "area of an empty union",
        OVERLAP,
        SHARED,
        "nothing is added to the area of the union",
        everywhere(r"- shared \+ 1e-07", "- shared"),
        single=False,
    ),
    Mutant(
        "sense of the overlap",
        KEPT,
        CHOSEN,
        "boxes that overlap little are dropped, not those that overlap much",
        everywhere(r"iou\(box, boxes\) > 0\.2", "iou(box, boxes) < 0.2"),
    ),
    Mutant(
        "labels mixed",
        KEPT,
        CHOSEN,
        "boxes of other labels are dropped, too",
        everywhere(r"near = near & .*$", "near = near"),
    ),
    Mutant(
        "worst box first",
        KEPT,
        CHOSEN,
        "scores are taken in ascending order",
        everywhere(r"(best = .*)argmax", r"\1argmin"),
    ),
    Mutant(
        "dropped boxes counted",
        KEPT,
        CHOSEN,
        "a score of 0 counts, which is what dropped boxes have",
        everywhere(r"^( +x = .*) > 0\.0$", r"\1 >= 0.0"),
    ),
    Mutant(
        "places behind the last box",
        KEPT,
        CHOSEN,
        "places that hold no box are not 0",
        everywhere(r"(chosen\S*) \* live", r"\1"),
        seed=1,
    ),
)
