"""What mitmproxy has left open is closed, and nothing else is."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import ctx
from mitmproxy.test import tflow

from cos_inspect.proxy import left_open
from cos_inspect.proxy.left_open import close_left_open


class Made:
    """A connection, with a task that has ended or goes on, and its other end."""

    def __init__(self, *, ended: bool) -> None:
        self.mine, self.theirs = socket.socketpair()
        self.ended = ended

    async def transport(self) -> Any:
        reader, writer = await asyncio.open_connection(sock=self.mine)
        task = asyncio.ensure_future(asyncio.sleep(0 if self.ended else 300))
        if self.ended:
            await task
        return SimpleNamespace(reader=reader, writer=writer, handler=task)


def within(
    monkeypatch: pytest.MonkeyPatch, ended: bool, steps: Callable[[Any, Made], Awaitable[None]]
) -> None:
    async def run() -> None:
        made, client = Made(ended=ended), tflow.tclient_conn()
        transport = await made.transport()
        handler = SimpleNamespace(transports={client: transport})
        proxyserver = SimpleNamespace(connections={client.id: handler})
        addons = SimpleNamespace(get={"proxyserver": proxyserver}.get)
        monkeypatch.setattr(ctx, "master", SimpleNamespace(addons=addons), raising=False)
        with made.theirs:
            close_left_open(client)
            await steps(transport, made)
        transport.handler.cancel()
        transport.writer.close()
        for task in list(left_open._closing):
            await task

    asyncio.run(run())


def test_what_the_client_sends_is_taken_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(transport: Any, made: Made) -> None:
        (task,) = left_open._closing
        made.theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(made.theirs, 1) == b""
        await loop.sock_sendall(made.theirs, bytes(2**22))
        assert not transport.writer.is_closing()
        made.theirs.shutdown(socket.SHUT_WR)
        await task
        assert transport.writer.is_closing()

    within(monkeypatch, True, steps)


def test_a_client_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_open, "_SECONDS", 0.01)

    async def steps(transport: Any, _made: Made) -> None:
        (task,) = left_open._closing
        await task
        assert transport.writer.is_closing()

    within(monkeypatch, True, steps)


def test_what_is_at_work_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(transport: Any, _made: Made) -> None:
        assert not left_open._closing
        assert not transport.writer.is_closing()

    within(monkeypatch, False, steps)


def test_another_mitmproxy(monkeypatch: pytest.MonkeyPatch) -> None:
    addons = SimpleNamespace(get={"proxyserver": object()}.get)
    monkeypatch.setattr(ctx, "master", SimpleNamespace(addons=addons), raising=False)
    close_left_open(tflow.tclient_conn())
    assert not left_open._closing
