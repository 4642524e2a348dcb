"""A settled scene as the planner of tasks sees it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.scene.decompose import MAX_OVERFILL
from blueprint_pipeline.scene.manifest import SceneManifest
from blueprint_pipeline.skill.affordances import Affordances
from blueprint_pipeline.skill.contract import ObjectFacts, PartFacts
from blueprint_pipeline.skill.drawn_color import COLOURS, is_colour_of, mean_color
from blueprint_pipeline.skill.instruction import NamedObject, SurfaceFrame, name_object
from blueprint_pipeline.skill.part_words import NamedPart, part_name_words, part_phrases
from blueprint_pipeline.twin.body_names import object_of

Handles = Mapping[str, FloatArray]


@dataclass(frozen=True, kw_only=True)
class TaskScene:
    """What is known of a scene before a robot stands in it."""

    manifest: SceneManifest
    twin: mujoco.MjModel
    mjcf_path: Path
    poses: Mapping[str, Pose]
    """Settled pose of every movable object."""
    overfill: Mapping[str, float]
    """Share of the free space close to each movable object that its convex pieces cover."""
    set_aside: Mapping[str, str]
    """Why each object that never comes to rest cannot move, by id."""
    stuck: Mapping[str, str]
    """Why each part that did not pass its motion test should not be moved, by name."""
    affordances: Affordances
    cache_dir: Path

    def surface_noun(self, object_id: str) -> str:
        """What to call a support; the background, which is no object, is a surface."""
        known = {item.id: item for item in self.manifest.objects}
        if object_id not in known:
            return "surface"
        return name_object(object_id, known[object_id].category, known[object_id].description)[0]

    def facts(self, object_id: str, supports: Mapping[str, str]) -> ObjectFacts:
        """What is known of a movable object; ``supports`` says what each stands on."""
        item = self.manifest.object(object_id)
        drawn_rgb = mean_color(self.twin, object_id)
        named = self._name(object_id, drawn_rgb)
        affordance = self.affordances.of(item.category, item.id, item.description)
        return ObjectFacts(
            noun=named.noun,
            colour=named.colour,
            drawn_rgb=drawn_rgb,
            upright=affordance.upright,
            contains="Containable" in affordance.affordances,
            stackable="Stackable" in affordance.affordances,
            mass_kg=float(self.twin.body_subtreemass[self.twin.body(object_id).id]),
            bears=tuple(sorted(upper for upper, lower in supports.items() if lower == object_id)),
            closed=self._closed(object_id),
        )

    def parts(self, names: Sequence[str], handles: Handles, frame: SurfaceFrame) -> dict[str, PartFacts]:
        """What is known of parts that move.

        Args:
            names: Which.
            handles: Middle of the handle of every part of the scene where it is closed, in the world, by name; or of the part, without one.
            frame: Of who looks at them.
        """
        named = {name: self._name_part(name, middle_m) for name, middle_m in handles.items()}
        phrases = part_phrases(list(named.values()), frame.to_viewer)
        return {
            name: PartFacts(
                phrases=phrases.get(name, ()),
                colour=named[name].colour,
                drawn_rgb=named[name].drawn_rgb,
                problem=self.stuck.get(name),
            )
            for name in names
        }

    def _name_part(self, name: str, middle_m: FloatArray) -> NamedPart:
        """What may be said of a part: of the words of its name for its colour the first that is true of what is drawn."""
        owner, drawn_rgb = object_of(name), mean_color(self.twin, name)
        colours = (word for word in part_name_words(name) if word in COLOURS)
        return NamedPart(
            name=name,
            owner=self._name(owner, mean_color(self.twin, owner)),
            middle_m=middle_m,
            colour=_first_true(colours, drawn_rgb),
            drawn_rgb=drawn_rgb,
        )

    def _name(self, object_id: str, drawn_rgb: FloatArray | None) -> NamedObject:
        """What may be said of an object: of the words that people wrote for its colour the first that is true of what is drawn."""
        item = self.manifest.object(object_id)
        noun, colours = name_object(item.id, item.category, item.description)
        return NamedObject(object_id=object_id, noun=noun, colour=_first_true(colours, drawn_rgb))

    def _closed(self, object_id: str) -> str | None:
        share = self.overfill[object_id]
        if share <= MAX_OVERFILL:
            return None
        return f"its collision pieces close what is open: they fill {share:.1%} of the free space close to it (limit {MAX_OVERFILL:.0%})"


def _first_true(colours: Iterable[str], drawn_rgb: FloatArray | None) -> str | None:
    """The first word for a colour that is true of what is drawn."""
    return next((word for word in colours if drawn_rgb is not None and is_colour_of(word, drawn_rgb)), None)
