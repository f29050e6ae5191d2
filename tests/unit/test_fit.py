"""Which model suits a machine: verdicts, speeds that are learned, and the recommendation."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from lsp_server import paths
from lsp_server.cli.models import app
from lsp_server.model import fit, memory, registry, stores
from lsp_server.model.catalogue import load_catalogue
from lsp_server.model.fit import Speed, Trial, Trials
from tests import gguf_files as files
from tests import stores as place

GIB = 1 << 30
SPEED = Speed(bandwidth=20e9)
TRIAL = Trial(30.0, 700 << 20, True, " a + b")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KRUK_HOME", str(tmp_path / "kruk"))
    machine = place.machine("linux", tmp_path)
    monkeypatch.setattr(stores.Machine, "this", lambda: machine)


@pytest.fixture
def located(tmp_path):
    return registry.locate(str(files.write(tmp_path / "tiny.gguf", files.model())))


def row(name, there=16 * GIB, speed=SPEED):
    return fit.of_row(*registry.find(name), 8192, there, speed)


def test_memory_decides(located):
    need = memory.estimate(located, 2048).least
    verdicts = [fit.of_file(located, 8192, there, SPEED).verdict for there in (need * 2, need, need - 1)]

    assert verdicts == ["fits", "tight", "too large"]  # at the 2,048 tokens that it was trained with
    assert row("qwen2.5-coder-7b", 4 * GIB).verdict == "too large"
    assert row("qwen2.5-coder-7b", 8 * GIB).verdict == "fits"


def test_speed_is_learned_from_what_was_tried(located):
    assert fit.of_file(located, 2048, GIB, SPEED).speed == pytest.approx(20e9 / located.header.read_bytes)
    tried = Trial(10e9 / located.header.read_bytes, 1, True, "")
    speed = SPEED.learned([(located, tried)])

    assert speed.share == pytest.approx(0.5) and speed.is_learned
    assert row("qwen2.5-coder-7b", speed=speed).speed == pytest.approx(row("qwen2.5-coder-7b").speed / 2)
    assert fit.of_file(located, 2048, GIB, speed, TRIAL).speed == TRIAL.tokens_per_second
    assert not SPEED.learned([]).is_learned


def test_experts_make_a_model_faster():
    spec, file = registry.find("deepseek-coder-v2-lite")
    whole = SPEED.of(spec.file_bytes(file))

    assert fit.of_row(spec, file, 8192, 32 * GIB, SPEED).speed > 3 * whole


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "trained"),
        ({"general__name": "Qwen2.5 7B Instruct"}, "present"),  # its vocabulary has the tokens
        ({"general__name": "Qwen2.5 7B Instruct", "tokenizer__ggml__tokens": ["a", "b"]}, "absent"),
    ],
)
def test_tokens_in_a_vocabulary_prove_no_training(tmp_path, changes, wanted):
    found = registry.locate(str(files.write(tmp_path / "x.gguf", files.model(**changes))))
    judged = fit.of_file(found, 2048, GIB, SPEED)

    assert judged.fim == wanted
    assert judged.completes is (wanted == "trained")
    assert fit.of_file(found, 2048, GIB, SPEED, TRIAL).completes  # the trial decides
    failed = dataclasses.replace(TRIAL, fills_in=False)
    assert not fit.of_file(found, 2048, GIB, SPEED, failed).completes


def catalogue_fits(there, bandwidth):
    speed = Speed(bandwidth)
    return [fit.of_row(spec, spec.files[0], 8192, there, speed) for spec in load_catalogue().models]


def test_the_largest_that_is_fast_enough_is_recommended():
    small, why = fit.recommend(catalogue_fits(4 * GIB, 20e9), for_chat=False)
    large, _ = fit.recommend(catalogue_fits(64 * GIB, 400e9), for_chat=False)
    chat, _ = fit.recommend(catalogue_fits(16 * GIB, 60e9), for_chat=True)

    assert small.params_b < large.params_b
    assert small.fim == large.fim == "trained" and chat.can_chat
    assert "fills in the middle" in why and "tokens a second" in why and "iB beside an editor" in why
    assert all(choice.verdict == "fits" and choice.commercial for choice in (small, large, chat))
    assert small.speed >= fit.COMPLETION_SPEED and chat.speed >= fit.CHAT_SPEED


def test_where_all_are_slow_the_fastest_is_recommended_and_that_is_said():
    slow, why = fit.recommend(catalogue_fits(16 * GIB, 1e9), for_chat=False)

    assert slow.speed == max(one.speed for one in catalogue_fits(16 * GIB, 1e9) if one.completes)
    assert "comes nearest" in why
    assert fit.recommend(catalogue_fits(100 << 20, 20e9), for_chat=False) is None


def test_trials_are_kept_for_a_file(located, tmp_path):
    assert Trials().get(located) is None
    Trials().put(located, TRIAL)
    assert Trials().get(located) == TRIAL

    other = registry.locate(str(files.write(tmp_path / "other.gguf", files.model(general__description="x"))))
    assert Trials().get(other) is None
    for path in (paths.cache_dir() / "fit").iterdir():
        path.write_bytes(b"{}")
    assert Trials().get(located) is None


def test_the_bandwidth_is_measured():
    assert 1e8 < fit.bandwidth() < 1e13


def test_an_editor_that_is_not_open_yet_is_counted(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 8 * GIB)
    process = type("Process", (), {"info": {"name": "bash"}})
    monkeypatch.setattr(fit.psutil, "process_iter", lambda _: [process])
    assert fit.room() == 7 * GIB
    process.info = {"name": "Code.exe"}
    assert fit.room() == 8 * GIB


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(fit, "room", lambda: 8 * GIB)
    monkeypatch.setattr(fit, "bandwidth", lambda: 20e9)


def run(*arguments):
    return CliRunner().invoke(app, ["fit", *arguments])


@pytest.mark.usefixtures("machine")
def test_fit_shows_what_is_here_and_what_could_be():
    files.write(paths.models_dir() / "mine.gguf", files.model())
    found = json.loads(run("--json").stdout)
    rows = {one["name"]: one for one in found["models"]}

    assert found["room_bytes"] == 8 * GIB
    assert rows["mine"]["path"] and rows["mine"]["kv_bytes"]["2048"] > 0 and rows["mine"]["buffer_bytes"] > 0
    assert rows["qwen2.5-coder-14b"]["verdict"] == "too large"
    assert {
        f"{spec.id}:{spec.files[1].quantisation}" for spec in load_catalogue().models if len(spec.files) > 1
    } < set(rows)
    assert rows[found["completion"]["model"]]["verdict"] == "fits"
    text = run().stdout
    assert "For completion: " in text and "For chat: " in text and "mine" in text


@pytest.mark.usefixtures("machine")
def test_fit_of_one_model():
    rows = json.loads(run("qwen2.5-coder-7b:Q8_0", "--json").stdout)["models"]
    assert [one["name"] for one in rows] == ["qwen2.5-coder-7b:Q8_0"]
    result = run("qwen2.5-coder-7")
    assert result.exit_code == 1 and "Did you mean" in result.stderr


@pytest.mark.usefixtures("machine")
def test_a_model_that_drafts_takes_its_share():
    path = files.write(paths.models_dir() / "small.gguf", files.model())
    needed = memory.estimate(registry.locate("small"), 8192).least
    found = json.loads(run("small", "--draft-model", str(path), "--json").stdout)
    assert found["room_bytes"] == 8 * GIB - needed
    assert "of `small` for its drafts" in run("small", "--draft-model", "small").stdout
