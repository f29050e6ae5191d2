"""`kruk models`, through Typer."""

import json

import pytest
from typer.testing import CliRunner

from lsp_server import paths
from lsp_server.cli.models import app
from lsp_server.errors import DownloadError
from lsp_server.model import download, registry, stores
from lsp_server.model.catalogue import DEFAULT_MODEL, load_catalogue
from lsp_server.model.partial import Progress
from tests import gguf_files as files
from tests import stores as place

SPEC = load_catalogue().model(DEFAULT_MODEL)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty data folder of our own, on a machine without other programs."""
    monkeypatch.setenv("KRUK_HOME", str(tmp_path / "home"))
    machine = place.machine("linux", tmp_path)
    monkeypatch.setattr(stores.Machine, "this", lambda: machine)


def run(*arguments, answer=None):
    """The result of `kruk models` with these arguments: exit_code, stdout, stderr."""
    return CliRunner().invoke(app, arguments, input=answer)


def install(file=SPEC.files[0]):
    return files.write(paths.models_dir() / file.file, files.model())


def line_of(text, name):
    return next(line for line in text.splitlines() if name in line.split())


def test_list_shows_every_model():
    result = run("list")

    assert result.exit_code == 0
    assert all(model.id in result.stdout for model in load_catalogue().models)
    assert "no commercial use" in line_of(result.stdout, "codestral-22b")
    assert "no commercial use" not in line_of(result.stdout, DEFAULT_MODEL)
    assert line_of(result.stdout, DEFAULT_MODEL).startswith("★")
    assert "Q4_K_M Q5_K_M Q8_0" in line_of(result.stdout, DEFAULT_MODEL)
    assert " no " in line_of(result.stdout, "bielik-11b-v2.3-instruct")


def test_a_model_with_adapters_is_listed_used_and_not_quantised():
    row = {"id": "ours", "model": DEFAULT_MODEL, "adapters": [{"path": "a.gguf"}]}
    files.write(paths.data_dir() / "models.json", json.dumps({"adapted": [row]}).encode())
    assert not line_of(run("list").stdout, "ours").startswith(("●", "★"))
    install()
    files.write(paths.data_dir() / "a.gguf", files.adapter(64))
    assert line_of(run("list").stdout, "ours").startswith("●")
    assert "ours" in run("use", "ours").stdout
    assert line_of(run("list").stdout, "ours").startswith("★")
    listed = json.loads(run("list", "--json").stdout)[-1]
    assert (listed["id"], listed["installed"], listed["default"]) == ("ours", True, True)
    assert "adapters, which the result would lack" in run("quantize", "ours", "q4_0").stderr


def test_list_marks_what_is_here_and_what_is_chosen():
    install(load_catalogue().model("gemma-3-270m").files[0])
    files.write(paths.models_dir() / "stranger.gguf", files.model())
    registry.set_default("stranger")
    result = run("list")

    assert line_of(result.stdout, "gemma-3-270m").startswith("●")
    assert line_of(result.stdout, "stranger").startswith("●")
    assert not line_of(result.stdout, DEFAULT_MODEL).startswith("★")


def test_list_for_a_script():
    install()
    rows = {row["id"]: row for row in json.loads(run("list", "--json").stdout)}

    assert len(rows) == sum(len(model.files) for model in load_catalogue().models)
    assert rows[DEFAULT_MODEL]["installed"] and rows[DEFAULT_MODEL]["default"] and rows[DEFAULT_MODEL]["fim"]
    assert not rows[f"{DEFAULT_MODEL}:Q8_0"]["installed"]
    assert rows["codestral-22b"]["commercial"] is False
    assert "size_bytes" in rows["gemma-2-2b-it"]["unverified"]


def fake_pull(monkeypatch, *steps):
    """Replace the download by one that goes through `steps`: progress, or an exception at the end."""

    def pull(spec, file, progress, sources=None):
        for step in steps:
            if not isinstance(step, Progress):
                raise step
            progress(step)
        return install(file)

    monkeypatch.setattr(download, "pull", pull)


SOURCE = Progress("source", 0, 491_400_064, "Hugging Face, Qwen")


def test_pull_shows_licence_source_size_and_sparse_lines(monkeypatch):
    steps = [Progress("download", n * 4_914_001, 491_400_064) for n in range(100)]
    fake_pull(monkeypatch, SOURCE, Progress("failed", 0, None, "Hugging Face: [no]"), *steps)
    result = run("pull")

    assert result.exit_code == 0
    assert result.stdout == f"ready: {paths.models_dir() / SPEC.files[0].file}\n"
    assert "Apache License 2.0" in result.stderr
    assert "491 MB" in result.stderr
    assert "from: Hugging Face, Qwen" in result.stderr
    assert "no luck: Hugging Face: [no]" in result.stderr
    assert [line for line in result.stderr.splitlines() if line.endswith("MB") and "%" in line] == [
        f"{10 * tenth} %, {round(tenth * 49.14001)} MB" for tenth in range(1, 10)
    ]


def test_pull_for_a_script(monkeypatch):
    steps = [Progress("download", n, 491_400_064) for n in range(100)]
    fake_pull(monkeypatch, SOURCE, *steps, Progress("verify", 491_400_064, 491_400_064))
    result = run("pull", "--json")

    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [it["stage"] for it in told] == ["source", "download", "verify", "ready"]  # not one for each chunk
    assert told[0]["text"] == "Hugging Face, Qwen"
    assert told[1]["total_bytes"] == 491_400_064
    assert told[-1]["path"] == str(paths.models_dir() / SPEC.files[0].file)


def test_pull_warns_of_a_licence_without_commercial_use(monkeypatch):
    fake_pull(monkeypatch, SOURCE)
    result = run("pull", "codestral-22b")

    assert "no commercial use" in result.stderr
    assert "about 1" in result.stderr


def test_ctrl_c_says_how_far_it_came(monkeypatch):
    fake_pull(monkeypatch, SOURCE, Progress("download", 181_818_024, 491_400_064), KeyboardInterrupt())
    result = run("pull", DEFAULT_MODEL)

    assert result.exit_code == 130
    assert result.stderr.endswith("Stopped at 37 %. Run the same command to go on.\n")


@pytest.mark.parametrize(
    "arguments",
    [("pull", "qwen2.5-coder-0.5"), ("use", "qwen2.5-coder-0.5"), ("rm", "--yes", "qwen2.5-coder")],
)
def test_errors_go_to_stderr_with_a_hint(arguments):
    result = run(*arguments)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "\nhint: " in result.stderr


def test_an_error_is_shown_as_it_is(monkeypatch):
    fake_pull(monkeypatch, DownloadError("it [bold]broke[/bold] at " + "x" * 200, "again"))
    result = run("pull")

    assert result.exit_code == 1
    assert f"error: it [bold]broke[/bold] at {'x' * 200}\nhint: again\n" in result.stderr


def test_use(tmp_path):
    install()
    assert run("use", DEFAULT_MODEL).exit_code == 0
    assert registry.default_choice() == DEFAULT_MODEL

    other = files.write(tmp_path / "x.gguf", files.model(general__name="Nothing We Know"))
    result = run("use", str(other))
    assert registry.default_choice() == str(other)
    assert "cannot fill in the middle" in result.stderr


def test_rm_asks():
    path = install()
    assert run("rm", DEFAULT_MODEL, answer="n\n").exit_code == 1
    assert path.exists()

    result = run("rm", DEFAULT_MODEL, answer="y\n")
    assert result.exit_code == 0
    assert "are free again" in result.stdout
    assert not path.exists()


def test_rm_yes_does_not_ask():
    path = install()

    assert run("rm", "-y", DEFAULT_MODEL).exit_code == 0
    assert not path.exists()


def in_lm_studio(tmp_path, name, content):
    return files.write(tmp_path / ".lmstudio" / "models" / "a" / "b" / name, content)


def test_scan_shows_models_and_what_is_wrong(tmp_path):
    assert "No other program has a model here" in run("scan").stdout

    in_lm_studio(tmp_path, "coder.gguf", files.model())
    in_lm_studio(tmp_path, "mmproj.gguf", files.model(general__type="mmproj"))
    in_lm_studio(tmp_path, "half.gguf", files.model()[:-1])
    result = run("scan")

    assert result.exit_code == 0
    assert {"instruct", "Q4_K_M", "yes"} <= set(line_of(result.stdout, "lmstudio:coder").split())
    assert "Left out, since they write no text: 1 projector" in result.stdout
    assert "`lmstudio:half` is truncated" in result.stdout
    assert "Delete it in LM Studio and download it again" in result.stdout
    assert result.stdout.endswith("kruk models use lmstudio:coder\n")

    rows = {row["name"]: row for row in json.loads(run("scan", "--json").stdout)}
    assert rows["lmstudio:coder"]["fim"] and rows["lmstudio:coder"]["kind"] == "instruct"
    assert rows["lmstudio:half"]["problem"] and rows["lmstudio:mmproj"]["role"] == "projector"
    assert "Of other programs: lmstudio:coder" in run("list").stdout


def test_scan_looks_into_folders_of_the_user(tmp_path):
    path = files.write(tmp_path / "mine" / "m.gguf", files.model())

    assert str(path) not in run("scan").stdout.replace("\n", "")
    assert [row["name"] for row in json.loads(run("scan", "--json", "--keep", str(path.parent)).stdout)] == [
        str(path)
    ]
    assert [row["name"] for row in json.loads(run("scan", "--json").stdout)] == [str(path)]
    assert "is not a folder" in run("scan", str(path)).stderr


def test_what_another_program_has_is_not_downloaded_again(tmp_path, monkeypatch):
    fake_pull(monkeypatch, DownloadError("no network", ""))
    file = SPEC.files[1]
    path = in_lm_studio(tmp_path, file.file, files.model())
    result = run("pull", f"{SPEC.id}:{file.quantisation}")

    assert result.exit_code == 0
    assert "LM Studio has it already" in result.stderr
    assert result.stdout.replace("\n", "") == f"ready: {path}"
    assert path.exists() and not paths.models_dir().exists()


def test_the_schema_for_a_file_of_ones_own():
    content = json.loads(run("schema").stdout)
    assert "ModelSpec" in content["$defs"] and "Family" in content["$defs"]
