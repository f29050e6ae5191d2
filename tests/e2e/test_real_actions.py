"""Every action with the real model, in six languages, over real stdio."""

import asyncio

import pytest
from lsprotocol import types

from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import parse

pytestmark = pytest.mark.model

CODES = {
    "python": """\
def total(prices, rate):
    result = 0
    for price in prices:
        result -= price
    return result * (1 + rate)
""",
    "javascript": """\
function total(prices, rate) {
  let result = 0;
  for (const price of prices) {
    result -= price;
  }
  return result * (1 + rate);
}
""",
    "go": """\
package shop

func Total(prices []float64, rate float64) float64 {
	result := 0.0
	for _, price := range prices {
		result -= price
	}
	return result * (1 + rate)
}
""",
    "rust": """\
fn total(prices: &[f64], rate: f64) -> f64 {
    let mut result = 0.0;
    for price in prices {
        result -= price;
    }
    result * (1.0 + rate)
}
""",
    "java": """\
class Shop {
    double total(double[] prices, double rate) {
        double result = 0;
        for (double price : prices) {
            result -= price;
        }
        return result * (1 + rate);
    }
}
""",
    "cpp": """\
double total(const std::vector<double>& prices, double rate) {
  double result = 0;
  for (double price : prices) {
    result -= price;
  }
  return result * (1 + rate);
}
""",
}


@pytest.mark.parametrize("language", CODES)
async def test_each_action_runs_to_its_end(start, real, language, tmp_path):
    applied = []
    capabilities = types.ClientCapabilities(workspace=types.WorkspaceClientCapabilities(apply_edit=True))
    editor = await start(**real, capabilities=capabilities)

    @editor.client.feature("workspace/applyEdit")
    def apply(ls, params: types.ApplyWorkspaceEditParams):
        applied.append(params.edit)
        return types.ApplyWorkspaceEditResult(applied=True)

    code, row = CODES[language], language_for(language)
    uri = (tmp_path / f"shop.{row.file_types[0]}").as_uri()
    editor.open(code, uri, language)
    line = next(n for n, text in enumerate(code.split("\n")) if "-=" in text)
    place = {"start": {"line": line, "character": 4}, "end": {"line": line, "character": 4}}
    diagnostic = {"range": place, "message": "the price is subtracted, but it should be added", "severity": 1}
    asked = {"edit": {"instruction": "rename `result` to `amount`"}, "fix": {"diagnostics": [diagnostic]}}
    for name in ("explain", "fix", "document", "tests", "edit", "simplify"):
        argument = {"uri": uri, "range": place, **asked.get(name, {})}
        params = types.ExecuteCommandParams(f"kruk.{name}", [argument], work_done_token=name)
        answer = await asyncio.wait_for(editor.client.workspace_execute_command_async(params), 120)
        assert answer.get("text") or answer.get("applied") or answer.get("reason"), (name, answer)
        reports = [note for kind, note in editor.notes if kind == "$/progress" and note.token == name]
        assert len(reports) >= 7, name  # the beginning, five updates, the end
        if name == "fix":
            assert answer["applied"]
            (edit,) = [edit for edits in applied[-1].changes.values() for edit in edits]
            assert edit.range.start.line == line and "+" in edit.new_text
        if answer.get("text") and name == "tests" and answer["applied"]:
            assert not parse(answer["text"], row).has_errors


@pytest.mark.parametrize("name", ["explain", "tests", "edit"])
async def test_what_is_cancelled_leaves_nothing(start, real, name, tmp_path):
    applied = []
    capabilities = types.ClientCapabilities(workspace=types.WorkspaceClientCapabilities(apply_edit=True))
    editor = await start(**real, capabilities=capabilities)

    @editor.client.feature("workspace/applyEdit")
    def apply(ls, params: types.ApplyWorkspaceEditParams):
        applied.append(params.edit)
        return types.ApplyWorkspaceEditResult(applied=True)

    path = tmp_path / "work" / "shop.py"
    path.parent.mkdir()
    path.write_text(CODES["python"])
    editor.open(CODES["python"], path.as_uri())
    place = {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 4}}
    argument = {"uri": path.as_uri(), "range": place, "instruction": "rename `result` to `amount`"}
    params = types.ExecuteCommandParams(f"kruk.{name}", [argument], work_done_token="t")
    running = asyncio.ensure_future(editor.client.workspace_execute_command_async(params))
    await editor.until("$/progress", lambda note: note.token == "t" and "report" in str(note.value))
    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams("t"))
    answer = await asyncio.wait_for(running, 10)
    assert answer["reason"] == "It was cancelled."
    assert (await editor.request("kruk/status")).state  # a late edit would have come before this answer
    assert not applied
    assert [it.name for it in path.parent.iterdir()] == ["shop.py"]
    assert path.read_text() == CODES["python"]
