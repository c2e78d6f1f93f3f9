"""Streaming is set up when the headers come, behind others that do their work then."""

from mitmproxy import http

from cos_inspect.proxy.streaming import LastInChain
from cos_inspect.recording.stream_tap import Tap
from tests.proxy.scripted import Proxy, looks_on, script_with, upload


def test_who_answers_is_not_streamed(proxy: Proxy) -> None:
    def requestheaders(flow: http.HTTPFlow) -> None:
        if flow.request.path == "/answered":
            flow.response = http.Response.make(200)

    proxy.load(script_with(requestheaders=requestheaders))
    assert not proxy.streams("request", upload(path="/answered"))
    assert proxy.streams("request")
    assert proxy.streams("response")


def test_who_streams_is_tapped_and_still_called(proxy: Proxy) -> None:
    def theirs(data: bytes) -> bytes:
        return data.upper()

    def requestheaders(flow: http.HTTPFlow) -> None:
        flow.request.stream = theirs

    proxy.load(script_with(requestheaders=requestheaders, request=looks_on))
    flow = upload(size=7)
    assert proxy.streams("request", upload())
    assert proxy.streams("request", flow)
    tap = flow.request.stream
    assert isinstance(tap, Tap)
    assert tap.inner is theirs
    assert tap(b"abc") == b"ABC"


def test_who_comes_still_later_may_answer(proxy: Proxy) -> None:
    class Late:
        @staticmethod
        def requestheaders(flow: http.HTTPFlow) -> None:
            flow.response = http.Response.make(200)

    proxy.ours.running()
    proxy.load(script_with(requestheaders=looks_on))
    assert proxy.streams("request")
    proxy.addons.add(Late())
    assert not proxy.streams("request")


def test_nothing_is_left_behind(proxy: Proxy) -> None:
    proxy.load(script_with(requestheaders=looks_on))
    assert proxy.streams("request")
    proxy.ours.done()
    assert proxy.addons.get(LastInChain.name) is None
