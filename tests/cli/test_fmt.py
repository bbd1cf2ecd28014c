"""`dlc fmt`."""

from __future__ import annotations

import json

UNTIDY = "net A( )(x:float[B,8])->float[B,8]{return x}\n"
TIDY = "net A()(x: float[B, 8]) -> float[B, 8] { return x }\n"


def test_files_are_rewritten_whole(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text(UNTIDY)
    path.chmod(0o640)
    result = run("fmt", path)
    assert result.exit_code == 0
    assert result.stderr == "1 file reformatted\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["a.dl"]
    assert run("fmt", path).stderr == "1 file unchanged\n"


def test_check_and_diff_write_nothing(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text(UNTIDY)
    check = run("fmt", "--check", path)
    assert check.exit_code == 1
    assert check.stdout == f"would reformat {path}\n"
    diff = run("fmt", "--diff", path)
    assert diff.exit_code == 1
    assert diff.stdout.startswith(f"--- {path}\n")
    assert path.read_text() == UNTIDY


def test_stdin(run):
    once = run("fmt", "-", input=UNTIDY)
    assert once.exit_code == 0
    assert run("fmt", "-", input=once.stdout).stdout == once.stdout


def test_windows_line_ends_are_a_change(run, tmp_path):
    path = tmp_path / "a.dl"
    text = run("fmt", "-", input=UNTIDY).stdout
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert run("fmt", "--check", path).exit_code == 1
    run("fmt", path)
    assert path.read_bytes() == text.encode()


def test_errors_leave_the_file(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text("net A(")
    good = tmp_path / "b.dl"
    good.write_text(UNTIDY)
    result = run("fmt", path, good)
    assert result.exit_code == 1
    assert "1 file reformatted, 1 file with errors" in result.stderr
    assert path.read_text() == "net A("
    found = json.loads(run("fmt", path, "--json").stdout)
    assert found["ok"] is False
    assert found["files"][0]["diagnostics"]
