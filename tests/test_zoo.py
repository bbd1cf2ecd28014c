"""The zoo page fits the specs."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from dlc import api

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "specs").rglob("*.dl"))


def load():
    spec = importlib.util.spec_from_file_location("zoo", ROOT / "benchmarks" / "zoo.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo"] = module
    spec.loader.exec_module(module)
    return module


zoo = load()


def test_every_spec_is_on_the_page():
    assert sorted(zoo.specs()) == SPECS
    assert {zoo.field_of(spec) for spec in SPECS} <= set(zoo.FIELDS)
    page = zoo.PAGE.read_text(encoding="utf-8")
    assert page == zoo.page(zoo.read()), "write it again: python benchmarks/zoo.py --page"
    assert "no reference yet" not in page, "a spec without a reference needs a reason in NO_REFERENCE"


def test_the_table_of_the_readme_is_that_of_the_record():
    text = zoo.README.read_text(encoding="utf-8")
    assert zoo.agreement(zoo.read()) in text, "write it again: python benchmarks/zoo.py --page"


def test_every_cell_has_text():
    lines = [line for line in zoo.page(zoo.read()).splitlines() if line.startswith("| [")]
    assert len(lines) == len(SPECS)
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert len(cells) == 8 and all(cells), line


@pytest.mark.sweep
def test_every_spec_was_measured_as_it_stands():
    """Measuring (`python benchmarks/zoo.py`) takes long; until then the page says what is missing."""
    stands = {spec: zoo.digest((ROOT / spec).read_text(encoding="utf-8")) for spec in SPECS}
    found = {spec: record["digest"] for spec, record in zoo.read().items()}
    assert found == stands
    assert "not measured" not in zoo.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec in zoo.read()])
def test_figures_are_of_this_spec(spec):
    record = zoo.read()[spec]
    assert record["digest"] == zoo.digest((ROOT / spec).read_text(encoding="utf-8")), (
        "python benchmarks/zoo.py"
    )
    module = api.load(ROOT / spec)
    assert set(record["parameters"]) == set(module.nets)
    for label, text in zoo.expected_counts(module).items():
        assert record["parameters"][label] == eval(text, {"__builtins__": {}}), label
    for figures in record["proof"]["targets"].values():
        assert 0 <= figures["gradient"] <= 1e-10
        assert 0 < figures["noise"] <= 30


@pytest.mark.parametrize("spec", SPECS)
def test_pictures_are_those_of_the_spec(spec):
    path = zoo.picture_path(spec)
    assert path.read_text(encoding="utf-8") == zoo.picture(spec), "python benchmarks/zoo.py --page"


def test_no_picture_is_left_over():
    names = {zoo.picture_path(spec).name for spec in SPECS}
    assert names == {path.name for path in zoo.FIGURES.iterdir()}
    assert len(names) == len(SPECS)


def test_reading_headers():
    head = (
        "Net v2 (Ho & Low, 2015, arXiv:1512.03385): see van den Oord et al. (2017). More (Cho et al., 2014)."
    )
    assert zoo.title(head) == "Net v2"
    assert zoo.papers(head) == (
        "[Ho & Low, 2015](https://arxiv.org/abs/1512.03385); van den Oord et al., 2017; Cho et al., 2014"
    )
    assert zoo.title("A perceptron: one unit.") == "Perceptron"


def test_digests_ignore_comments():
    assert zoo.digest('net A() # one\n{ x = "a # b" }') == zoo.digest('## two\nnet A() {\n  x = "a # b" }')
    assert zoo.digest("a = 1") != zoo.digest("a = 2")


def test_runs_go_on_where_they_were(tmp_path, monkeypatch, capsys):
    """What is known is not proved again; a spec that fails does not stop the others."""
    asked = []

    def prove(spec):
        asked.append(spec)
        if "gpt2" in spec:
            raise zoo.Failed(spec, "differs")
        return {"programs": [], "comparisons": 1, "targets": {}}

    monkeypatch.setattr(zoo, "prove", prove)
    monkeypatch.setattr(zoo, "RECORD", tmp_path / "zoo.json")
    chosen = ["specs/vision/lenet5.dl", "specs/language/gpt2.dl", "specs/basics/mlp.dl"]
    failed = zoo.measure(chosen, zoo.read(), again=False)
    assert [each.spec for each in failed] == ["specs/language/gpt2.dl"]
    assert asked == chosen
    assert set(zoo.read()) == {"specs/vision/lenet5.dl", "specs/basics/mlp.dl"}
    zoo.measure(chosen, zoo.read(), again=False)
    assert asked[3:] == ["specs/language/gpt2.dl"]
    assert re.search(r"gpt2.dl: differs", capsys.readouterr().out)
