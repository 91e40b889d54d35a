"""Where every frame is at one instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ir_nav.geometry.frames import Frame, FrameError
from ir_nav.geometry.transform import Transform


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One edge of the tree: where `transform.source` is in its parent, `transform.target`.

    measured_s: Unix time of the measurement. expires_after_s: age at which it stops being
    true; None for links that last (a calibration).
    """

    transform: Transform
    measured_s: float
    expires_after_s: float | None = None

    def fault(self, now_s: float) -> str | None:
        """Why the link may not be used at `now_s`, or None."""
        if self.expires_after_s is None:
            return None
        age_s = now_s - self.measured_s
        if age_s > self.expires_after_s:
            return f"{self.transform.source} is stale by {age_s - self.expires_after_s:.2f} s"
        return None


class FrameTree:
    """Immutable set of links; each frame has one parent, so there is one path."""

    __slots__ = ("_links", "_reasons")

    def __init__(
        self, links: Iterable[Link] = (), missing: Mapping[Frame, str] | None = None
    ) -> None:
        self._links = MappingProxyType({link.transform.source: link for link in links})
        self._reasons = MappingProxyType(dict(missing or {}))

    def with_link(self, link: Link) -> FrameTree:
        """A new tree in which `link` replaces the way to its source frame."""
        child = link.transform.source
        reasons = {frame: text for frame, text in self._reasons.items() if frame is not child}
        others = [known for frame, known in self._links.items() if frame is not child]
        return FrameTree([*others, link], reasons)

    def without(self, frame: Frame, reason: str) -> FrameTree:
        """A new tree in which `frame` is absent because of `reason`."""
        others = [known for child, known in self._links.items() if child is not frame]
        return FrameTree(others, {**self._reasons, frame: reason})

    def transform(self, target: Frame, source: Frame, now_s: float) -> Transform:
        """`target_from_source`, or FrameError naming the missing or stale link."""
        up_from_source = self._chain(source)
        up_from_target = self._chain(target)
        shared = next((frame for frame in up_from_source if frame in up_from_target), None)
        if shared is None:
            root = up_from_source[-1]
            fallback = up_from_target[-1]
            reason = self._reasons.get(root) or self._reasons.get(fallback)
            raise FrameError(reason or f"no link leads from {root} to {fallback}")
        shared_from_source = self._climb(source, shared, now_s)
        shared_from_target = self._climb(target, shared, now_s)
        return shared_from_target.inverse() @ shared_from_source

    def _chain(self, frame: Frame) -> list[Frame]:
        chain = [frame]
        while (link := self._links.get(chain[-1])) is not None:
            if link.transform.target in chain:
                raise FrameError(f"{link.transform.target} is its own ancestor")
            chain.append(link.transform.target)
        return chain

    def _climb(self, frame: Frame, ancestor: Frame, now_s: float) -> Transform:
        result = Transform(frame, frame, np.eye(4))
        current = frame
        while current is not ancestor:
            link = self._links[current]
            fault = link.fault(now_s)
            if fault is not None:
                raise FrameError(fault)
            result = link.transform @ result
            current = link.transform.target
        return result
