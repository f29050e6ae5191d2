"""Settings by all three ways: at initialize, pushed by the client, or pulled from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from lsp_server.capabilities import Client
from lsp_server.endpoint.listener import Endpoint
from lsp_server.handlers import status
from lsp_server.jsonrpc import Connection, RpcError
from lsp_server.protocol import DidChangeConfigurationParams
from lsp_server.session import CONFIGURED_WITH, Session
from lsp_server.settings import SECTION

log = logging.getLogger(__name__)


async def initialized(session: Session, endpoint: Endpoint, client: Client, connection: Connection) -> None:
    """Ask to hear of changed settings, where the client wants to be asked, and fetch them."""
    if client.registers_configuration:
        registration = {
            "id": "kruk-configuration",
            "method": "workspace/didChangeConfiguration",
            "registerOptions": {"section": SECTION},
        }
        try:
            await connection.request("client/registerCapability", {"registrations": [registration]})
        except RpcError as error:
            log.info("the client does not tell when settings change: %s", error.message)
    if client.registers_watchers:
        watcher = {
            "id": "kruk-files",
            "method": "workspace/didChangeWatchedFiles",
            "registerOptions": {"watchers": [{"globPattern": "**/*"}]},
        }
        try:
            await connection.request("client/registerCapability", {"registrations": [watcher]})
        except RpcError as error:
            log.info("the client does not tell when files change: %s", error.message)
    await _pull(session, client, connection)
    await follow(session, endpoint)


async def did_change(
    session: Session,
    endpoint: Endpoint,
    client: Client,
    connection: Connection,
    params: DidChangeConfigurationParams,
) -> None:
    """Take over pushed settings, or fetch them when the client only says that something changed."""
    if params.settings is None:
        await _pull(session, client, connection)
    else:
        _take_over(session, params.settings)
    await follow(session, endpoint)


async def follow(session: Session, endpoint: Endpoint) -> None:
    """Let the endpoint listen where the settings say, and tell of it."""
    if await endpoint.follow():
        session.tell("kruk/didChangeStatus", status.as_dict(session))


def report(session: Session, problems: Sequence[str]) -> None:
    """Show what was wrong with the settings, once."""
    if problems:
        for problem in problems:
            log.warning("%s", problem)
        session.tell("window/showMessage", {"type": 2, "message": "Kruk: " + " ".join(problems)})


async def _pull(session: Session, client: Client, connection: Connection) -> None:
    if not client.pulls_configuration:
        return
    try:
        answer = await connection.request("workspace/configuration", {"items": [{"section": SECTION}]})
    except RpcError as error:
        log.info("the client gave no settings: %s", error.message)
        return
    if isinstance(answer, list) and answer and answer[0]:
        _take_over(session, answer[0])


def _take_over(session: Session, sent: object) -> None:
    before = session.settings
    problems = session.configure(sent, CONFIGURED_WITH)
    report(session, problems)
    if session.settings.log_level != before.log_level:
        logging.getLogger("lsp_server").setLevel(session.settings.log_level.upper())
    if session.settings.remote != before.remote:
        session.tell("kruk/didChangeStatus", status.as_dict(session))
    session.ensure_model()
