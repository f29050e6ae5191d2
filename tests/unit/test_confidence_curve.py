"""What a threshold of confidence keeps and hides (benchmarks/confidence.py)."""

import json
import sys

import pytest

from tests.conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import confidence


def result(path, cases):
    rows = [
        {"configuration": name, "confidence": sure, "exact": exact}
        for name, sure, exact in (("one", *case) for case in cases)
    ]
    rows.append({"configuration": "two", "confidence": 0.9, "exact": False})
    path.write_text(json.dumps({"configurations": [{"name": "one"}, {"name": "two"}], "cases": rows}))
    return path


@pytest.fixture
def told(tmp_path):
    cases = [(0.9, True), (0.25, True), (0.6, False), (0.1, False), (None, False)]
    return confidence.read(result(tmp_path / "mine.json", cases), None)


def test_right_ones_are_kept_and_wrong_ones_hidden(told):
    assert confidence.kept(told, 0.3) == (1, 2)
    assert confidence.kept(told, 0.25) == (2, 2)
    assert confidence.hidden(told, 0.3) == (1, 2)  # what had no suggestion is not counted
    assert told.area == 0.75


def test_the_picture_has_a_row_for_each_threshold(told):
    picture = confidence.picture([told])
    assert all(f"{threshold:.0%}" in picture for threshold in confidence.THRESHOLDS)
    assert "Wrong, and hidden" in picture


def test_a_file_without_the_configuration_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no suggestion of `three`"):
        confidence.read(result(tmp_path / "mine.json", [(0.9, True)]), "three")
