"""The last fluoro image: it stays on the screen, and in use, until another one is exposed."""

from __future__ import annotations

from collections.abc import Callable

from ir_nav.session.fluoro_registering import FluoroRegistering
from ir_nav.session.fluoro_views import TakenView
from ir_nav.session.streams import Streams


class HeldView:
    """Poses are kept for seconds, a last image for minutes: its view is kept with it."""

    def __init__(self, fluoro: FluoroRegistering, streams: Callable[[], Streams | None]) -> None:
        self._fluoro = fluoro
        self._streams = streams
        self._held: TakenView | None = None

    def view(self) -> TakenView:
        """The newest frame that has a place; SessionError as `FluoroRegistering.live_view`."""
        streams, held = self._streams(), self._held
        newest = () if streams is None else streams.fluoro.newest_first()
        if held is None or not newest or newest[0] is not held.sample:
            self._held = None
            held = self._held = self._fluoro.live_view()
        return held
