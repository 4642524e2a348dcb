"""Draws what is on the surfaces of an episode's scene, and its backdrop: such as stand in rooms, and such that what is named stands out.

What a picture shows is drawn by kind and colour, as things of the kind have them. Where what the sentence names would be hard to tell from
it, the colours come nearer to those that the surface has, and in the end it keeps its own picture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.job.pictured import PicturedSurface, find_pictured
from blueprint_pipeline.job.site import Site
from blueprint_pipeline.kit.pictures import sky_of
from blueprint_pipeline.skill.drawn_color import difference
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.variation import Backdrop, Colour, SurfaceTexture, VariationRanges

_TRIES = 6
"""Draws of a picture, each half as far from the surface's own colours as the one before."""
_APART = 20.0
"""How far colours of what is named and of what is behind it are apart at least, unless they were nearer before: see `difference`."""
_DIGITS = 3
_SEEDS = 2**32


@dataclass(frozen=True)
class _Kind:
    """Of what a surface may be.

    Attributes:
        cell_m: How wide a plank, slab, tile, thread or stain is, at least and at most.
        contrast: How far its darkest colour is from its lightest one, as a share of full brightness.
        colours: In which it is usual, display values in the middle.
    """

    cell_m: tuple[float, float]
    contrast: float
    colours: tuple[Colour, ...]


_KINDS: Mapping[str, _Kind] = {
    "wood": _Kind(
        (0.07, 0.2),
        0.2,
        ((0.76, 0.6, 0.42), (0.62, 0.44, 0.28), (0.42, 0.29, 0.2), (0.84, 0.74, 0.58), (0.56, 0.52, 0.47), (0.3, 0.23, 0.19)),
    ),
    "stone": _Kind((0.15, 0.4), 0.2, ((0.5, 0.5, 0.51), (0.84, 0.83, 0.81), (0.34, 0.35, 0.37), (0.72, 0.66, 0.56), (0.42, 0.47, 0.46))),
    "tiles": _Kind(
        (0.1, 0.35), 0.28, ((0.86, 0.85, 0.82), (0.78, 0.7, 0.58), (0.66, 0.4, 0.3), (0.6, 0.69, 0.73), (0.62, 0.69, 0.6), (0.5, 0.5, 0.5))
    ),
    "cloth": _Kind(
        (0.008, 0.014), 0.16, ((0.82, 0.77, 0.67), (0.36, 0.41, 0.52), (0.42, 0.42, 0.42), (0.52, 0.54, 0.42), (0.52, 0.3, 0.3))
    ),
    "plaster": _Kind((0.15, 0.4), 0.07, ((0.88, 0.87, 0.84), (0.87, 0.82, 0.7), (0.73, 0.79, 0.84), (0.76, 0.82, 0.74), (0.7, 0.69, 0.68))),
}
_BACKDROPS: tuple[tuple[Colour, Colour], ...] = (
    ((0.74, 0.83, 0.93), (0.66, 0.66, 0.62)),
    ((0.9, 0.89, 0.86), (0.5, 0.42, 0.34)),
    ((0.86, 0.81, 0.72), (0.4, 0.37, 0.34)),
    ((0.4, 0.43, 0.48), (0.24, 0.24, 0.26)),
    ((0.72, 0.77, 0.72), (0.46, 0.5, 0.45)),
)
"""Above and below: a day outside, rooms by day and in the evening, a hall, a garden behind."""


def draw_textures(
    ranges: VariationRanges, site: Site, spec: EpisodeSpec, tints: Mapping[str, Colour], rng: np.random.Generator
) -> dict[str, SurfaceTexture]:
    """Pictures of the surfaces that get another one, by material.

    Args:
        ranges: How many get one, and how far their colours may go.
        site: Where the job happens.
        spec: The episode: what its sentence names must stand out.
        tints: What the colours of bodies are multiplied by. Bodies without a tint keep their pictures: what they look like may be said.
        rng: Of this episode.
    """
    named, found = _named_rgb(site, spec), {}
    for surface in find_pictured(site.compiled.model, tints):
        if rng.random() >= ranges.textured:
            continue
        tint = np.array(tints[surface.body])
        for texture in _propose(ranges, surface, rng):
            if all(_stands_out(rgb, [np.array(texture.low_rgb) * tint, np.array(texture.high_rgb) * tint], surface.rgb) for rgb in named):
                found[surface.material] = texture
                break
    return found


def draw_backdrop(ranges: VariationRanges, site: Site, spec: EpisodeSpec, rng: np.random.Generator) -> Backdrop | None:
    """What is seen beyond the scene; ``None``: what the scene has."""
    model = site.compiled.model
    sky = sky_of(model)
    if sky is None or ranges.backdrop == 0.0:
        return None
    start, size = int(model.tex_adr[sky]), int(model.tex_width[sky]) ** 2 * 3
    sides = model.tex_data[start : start + 6 * size].reshape(6, -1, 3) / 255.0
    plain = sides.mean(axis=1)[[_ABOVE, _BELOW]]
    named = _named_rgb(site, spec)
    for attempt in range(_TRIES):
        share = ranges.backdrop * 0.5**attempt * rng.uniform(0.5, 1.0)
        drawn = plain + share * (np.array(_BACKDROPS[int(rng.integers(len(_BACKDROPS)))]) + rng.uniform(-0.04, 0.04, (2, 3)) - plain)
        if all(_stands_out(rgb, list(drawn), plain.mean(axis=0)) for rgb in named):
            return Backdrop(above_rgb=_colour(drawn[0]), below_rgb=_colour(drawn[1]))
    return None


_ABOVE, _BELOW = 2, 3
"""Which of a sky's sides are so, in the order of its pixels: right, left, up, down, front, back."""


def _propose(ranges: VariationRanges, surface: PicturedSurface, rng: np.random.Generator) -> Iterator[SurfaceTexture]:
    """Pictures for a surface, one after the other, each nearer to its own colours."""
    for attempt in range(_TRIES):
        name = str(rng.choice(list(_KINDS)))
        kind = _KINDS[name]
        share = ranges.texture_colour * 0.5**attempt * rng.uniform(0.5, 1.0)
        usual = np.array(kind.colours[int(rng.integers(len(kind.colours)))]) + rng.uniform(-0.04, 0.04, 3)
        middle = surface.rgb + share * (usual - surface.rgb)
        half = kind.contrast * rng.uniform(0.5, 1.0) / 2 * middle / max(float(middle.max()), 0.1)  # of the same hue
        yield SurfaceTexture(
            kind=name,
            seed=int(rng.integers(_SEEDS)),
            cells=max(1, round(surface.side_m / rng.uniform(*kind.cell_m))),
            turned=bool(rng.integers(2)),
            low_rgb=_colour(middle - half),
            high_rgb=_colour(middle + half),
        )


def _stands_out(rgb: FloatArray, behind: list[FloatArray], before: FloatArray) -> bool:
    """Whether a colour can be told from all between some colours, or as well as from the one that was there before."""
    between = [behind[0] + share * (behind[1] - behind[0]) for share in (0.0, 0.5, 1.0)]
    return min(difference(rgb, other) for other in between) >= min(_APART, difference(rgb, before))


def _named_rgb(site: Site, spec: EpisodeSpec) -> list[FloatArray]:
    """Colours of what the sentence names, but not of what all stands on."""
    place, task = site.place, spec.task
    names = {task.target_object, task.support_object, task.goal_beside} - {place.surface.support, None}
    drawn = {name: facts.drawn_rgb for name, facts in place.objects.items()}
    drawn |= {name: facts.drawn_rgb for name, facts in place.parts.items()}
    return [rgb for name in sorted(filter(None, names)) if (rgb := drawn.get(name)) is not None]


def _colour(values: FloatArray) -> Colour:
    red, green, blue = (round(float(value), _DIGITS) for value in np.clip(values, 0.0, 1.0))
    return red, green, blue
