"""What a camera sees of an episode, gathered frame by frame."""

from dataclasses import dataclass, field

from blueprint_pipeline.episode.record import CameraSight
from blueprint_pipeline.origin import Origin

VISIBLE_PIXELS = 20
"""Of something that is seen."""
STRIDE = 15
"""Frames between two of which pixels are counted; the last frame counts, too."""


def is_sampled(frame: int, frames: int) -> bool:
    """Whether pixels are counted in a frame of an episode."""
    return frame % STRIDE == 0 or frame == frames - 1


@dataclass
class SightTally:
    """Counts of one camera in the sampled frames of one episode, in their order."""

    _target_px: list[int] = field(default_factory=list)
    _empty: list[float] = field(default_factory=list)

    def add(self, target_px: int, empty_share: float) -> None:
        """Count a frame.

        Args:
            target_px: Pixels of the target.
            empty_share: Share of the picture in which nothing stands, 0 to 1.
        """
        self._target_px.append(target_px)
        self._empty.append(empty_share)

    def result(self, origin: Origin) -> CameraSight | None:
        """What was seen; ``None`` where no frame was counted."""
        if not self._target_px:
            return None
        return CameraSight(
            target_visible_ratio=sum(pixels >= VISIBLE_PIXELS for pixels in self._target_px) / len(self._target_px),
            target_ends_px=(self._target_px[0], self._target_px[-1]),
            emptiest_share=max(self._empty),
            origin=origin,
        )
