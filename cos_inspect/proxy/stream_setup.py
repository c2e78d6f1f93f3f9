"""Has bodies streamed past taps: those that are large, and those that others stream."""

from collections.abc import Callable, Mapping

from mitmproxy import http

from cos_inspect.proxy import options
from cos_inspect.proxy.flow_snapshot import FlowSnapshot, length_is_known
from cos_inspect.proxy.guard import harmless
from cos_inspect.proxy.streaming import Streaming


class StreamSetup:
    """Called when a message's headers have come. ``settings`` are those of now."""

    def __init__(
        self,
        addon: object,
        snapshots: Mapping[str, FlowSnapshot],
        boundaries: Callable[[FlowSnapshot], list[int]],
        failed: Callable[[http.HTTPFlow], None],
    ) -> None:
        """
        :param addon: the one from whose hooks this is called.
        :param snapshots: of the flows under way, by id.
        :param boundaries: where in the answer's body its CRC-64 is to be noted, to join a range
            of an object with earlier ones.
        :param failed: called within an exception that came up behind all other addons.
        """
        self.settings = options.Settings()
        self._snapshots = snapshots
        self._boundaries = boundaries
        self.streaming = Streaming(
            addon, harmless(self._of_request, failed), harmless(self._of_response, failed)
        )

    def of_request(self, flow: http.HTTPFlow) -> None:
        """Streams the request where its body is large or streamed by others; does nothing where
        that is done behind all other addons."""
        if not self.streaming.is_behind:
            self._of_request(flow)

    def of_response(self, flow: http.HTTPFlow) -> None:
        """The same for the answer."""
        if not self.streaming.is_behind:
            self._of_response(flow)

    def _of_request(self, flow: http.HTTPFlow) -> None:
        snapshot = self._snapshots.get(flow.id)
        # mitmproxy crashes where a request is streamed that an addon has answered by now.
        if snapshot is None or not flow.live or flow.response or not snapshot.sends_body:
            return
        if snapshot.is_request_kept_whole(self.settings.stream_above):
            return
        heads = snapshot.heads()
        if heads is None:
            return
        wanted = bool(flow.request.stream)
        if not wanted and not snapshot.is_large_request(heads, self.settings.stream_above):
            return
        if self.streaming.steps_back():
            return
        known = length_is_known(heads.request.headers)
        if wanted or self.streaming.may_stream(flow, "request", length_known=known):
            snapshot.tap_request(heads, self.settings.most_copied)

    def _of_response(self, flow: http.HTTPFlow) -> None:
        snapshot, response = self._snapshots.get(flow.id), flow.response
        limit = self.settings.stream_above
        if snapshot is None or response is None or snapshot.is_kept_whole(limit):
            return
        heads = snapshot.heads()
        if heads is None or heads.answer is None:
            return
        wanted = bool(response.stream)
        if flow.live and (wanted or snapshot.is_large_response(heads, limit)):
            if self.streaming.steps_back():
                return
            known = length_is_known(heads.answer)
            wanted = wanted or self.streaming.may_stream(flow, "response", length_known=known)
        else:
            wanted = False
        is_range = response.status_code == 206
        snapshot.marks_wanted = self._boundaries(snapshot) if is_range else []
        if wanted:
            snapshot.tap_response(heads, self.settings.most_copied)
