"""Settings by all three ways, and what is said of wrong ones."""

from lsprotocol import types

from tests.e2e.conftest import texts

DOCUMENT = "a = 1\nb = "


def pulling(**kwargs):
    return types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(configuration=True, **kwargs),
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities()
        ),
    )


async def answer(editor):
    return texts(await editor.ask(1, 4))


async def test_options_at_initialize(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]}, options={"completion": {"enabled": False}})
    editor.open(DOCUMENT)
    assert await answer(editor) is None


async def test_pushed(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]})
    editor.open(DOCUMENT)
    for is_enabled in (False, True):
        settings = {"kruk": {"completion": {"enabled": is_enabled}}}
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))
        assert await answer(editor) == ("2" if is_enabled else None)


async def test_pulled_at_the_start_and_when_the_client_says_so(start):
    editor = await start(
        {"knows": ["a = 1\nb = 2\n"]},
        capabilities=pulling(),
        configuration={"": {"kruk": {"completion": {"enabled": False}}}},
    )
    editor.open(DOCUMENT)
    await editor.until_state("off")
    assert await answer(editor) is None
    editor.client.set_configuration({"kruk": {"completion": {"enabled": True}}})
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    await editor.until_state("ready")
    assert await answer(editor) == "2"


async def test_what_was_given_at_initialize_stays_below_what_is_pushed(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]}, options={"completion": {"enabled": False}})
    editor.open(DOCUMENT)
    settings = {"kruk": {"logLevel": "warning"}}
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))
    assert await answer(editor) is None


async def test_a_wrong_setting_is_shown_and_the_server_works(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]}, options={"modle": "x", "threads": "all"})
    message = await editor.until("window/showMessage", lambda params: True)
    assert "`kruk.modle`" in message.message
    assert "`model`" in message.message
    assert "`kruk.threads` must be a whole number" in message.message
    editor.open(DOCUMENT)
    assert await answer(editor) == "2"


async def test_toggle(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]})
    editor.open(DOCUMENT)
    run = types.ExecuteCommandParams("kruk.toggle")
    assert (await editor.client.workspace_execute_command_async(run))["enabled"] is False
    await editor.until("kruk/didChangeStatus", lambda params: params.state == "off")
    await editor.until("window/showMessage", lambda params: "switched off" in params.message)
    assert await answer(editor) is None
    editor.notes.clear()
    quietly = types.ExecuteCommandParams("kruk.toggle", [{"show": False}])
    assert (await editor.client.workspace_execute_command_async(quietly))["enabled"] is True
    assert await answer(editor) == "2"
    assert not [method for method, _ in editor.notes if method == "window/showMessage"]


async def test_a_model_that_could_not_be_loaded_is_tried_again_when_settings_come(start):
    editor = await start({}, options={"model": "broken"})
    await editor.until_state("error")
    editor.notes.clear()
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"kruk": {}}))
    await editor.until("kruk/didChangeStatus", lambda status: status.state == "loading")


async def test_the_status_tells_what_the_model_can_do(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]})
    await editor.until_state("ready")
    status = await editor.request("kruk/status")
    assert status.canChat and status.contextTokens > 0 and status.tokensPerSecond is None and status.drafts is None
    await editor.request("kruk/chat", {"messages": [{"role": "user", "content": "Hi"}]})
    assert (await editor.request("kruk/status")).tokensPerSecond > 0


async def test_the_status_tells_what_became_of_the_model_that_drafts(start):
    editor = await start({"drafts": "drafts by `a` for `fake` do not pay here"})
    said = "fake is ready; drafts by `a` for `fake` do not pay here"
    await editor.until("kruk/didChangeStatus", lambda status: status.message == said)
    assert (await editor.request("kruk/status")).drafts == "drafts by `a` for `fake` do not pay here"


async def test_what_a_command_chose_stays_when_the_editor_sends_settings(start):
    editor = await start({"knows": ["a = 1\nb = 2\n"]})
    editor.open(DOCUMENT)
    await editor.client.workspace_execute_command_async(types.ExecuteCommandParams("kruk.toggle"))
    settings = {"kruk": {"logLevel": "warning"}}
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))
    assert await answer(editor) is None
