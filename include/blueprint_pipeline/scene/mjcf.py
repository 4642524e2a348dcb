"""The MJCF twin of a scene, from the same assets as the USD stage: no robot, one body an object, looks kept.

Names: body and free joint ``{id}``; bodies and joints of an articulated object's parts ``{id}/{part}`` and ``{id}/{joint}``; convex pieces
``{body}_collision_{k}`` in group 3; looks ``{body}_visual``, ``{body}_visual_1``, ... in group 2; the plane ``floor`` at z = 0; camera
``scene``, which is that of ``source_image.png``. World frame: z up, metres, quaternions wxyz.

Source: MuJoCo documentation, XML reference.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

import numpy as np

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.scene.colors import to_display
from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.manifest import ArticulationJoint, ManifestObject, SceneManifest, asset_folder
from blueprint_pipeline.scene.mesh_files import build_obj, parse_obj, png_bytes
from blueprint_pipeline.scene.physics import Physics
from blueprint_pipeline.scene.surfaces import Surface, both_sides
from blueprint_pipeline.twin.body_names import name_within

TIMESTEP_S = 1.0 / 480.0
CONTACT_TIME_S = 0.006
"""Time constant of contacts: soft enough for the time step (at least 2 steps), hard enough that a full can sinks in by < 0.1 mm."""

BACKDROP = ((0.72, 0.72, 0.72), (0.55, 0.55, 0.55))
"""Grey above and below, as displayed."""
_FLOOR_FRICTION = (0.5, 0.005, 0.0001)
_FLOOR_CLOSE_M = 0.02
_FLOOR_SHARE = 0.3
_CONDIM = 4
ROLLING_CONDIM = 6
"""Contacts that resist sliding, turning and rolling."""
ROLLING_M = 0.003
"""Rolling friction of what rolls without, as of a thing with small flats. With less, MuJoCo's soft contacts creep."""
_BLENDED = 0.99
"""Alpha of a material whose texture has alpha: MuJoCo blends only what is not opaque by its ``rgba``."""


@dataclass(frozen=True)
class SceneAssets:
    """Files of a scene's assets, read.

    Attributes:
        manifest: What is where.
        physics: By object id, and by the name of each part that moves.
        visual: ``visual.glb`` by the same names, and ``background``.
        hulls: ``hull_000.obj`` ... by the same names, and ``background``.
    """

    manifest: SceneManifest
    physics: dict[str, Physics]
    visual: dict[str, bytes]
    hulls: dict[str, list[bytes]] = field(default_factory=dict)

    def surfaces(self, name: str) -> list[Surface]:
        """Surfaces of an object in its frame, or of the background in the world [m]."""
        return parse_glb(self.visual[name], name, f"{asset_folder(name)}/visual.glb")


def build_twin(assets: SceneAssets, slowed: Collection[str] = (), *, is_drawn: bool = True) -> dict[str, bytes]:
    """Files of the twin, by name below ``mjcf/``.

    Args:
        assets: What it is made of.
        slowed: Objects whose contacts also resist rolling.
        is_drawn: Whether it has looks; without them it moves the same, and is made faster.
    """
    return _Twin(assets, slowed, is_drawn=is_drawn).files()


class _Twin:
    def __init__(self, assets: SceneAssets, slowed: Collection[str], *, is_drawn: bool) -> None:
        self._assets = assets
        self._slowed = slowed
        self._is_drawn = is_drawn
        self._written: dict[str, bytes] = {}
        self._root = ET.Element("mujoco", model=assets.manifest.scene_id)
        self._settings()
        self._asset = ET.SubElement(self._root, "asset")
        self._backdrop()
        self._world = ET.SubElement(self._root, "worldbody")
        self._contact = ET.Element("contact")
        self._parts: dict[str, list[str]] = {}

    def files(self) -> dict[str, bytes]:
        manifest = self._assets.manifest
        self._lights_and_camera()
        if manifest.background is not None:
            body = ET.SubElement(self._world, "body", name="background")
            self._geoms(body, "background", _FLOOR_FRICTION)
        for item in manifest.objects:
            self._object(item)
        self._floor()
        if len(self._contact):
            self._root.append(self._contact)
        ET.indent(self._root, " ")
        return {"scene.xml": ET.tostring(self._root, encoding="utf-8") + b"\n", **self._written}

    def _settings(self) -> None:
        root = self._root
        ET.SubElement(root, "compiler", angle="radian", meshdir="meshes", texturedir="textures", autolimits="true")
        ET.SubElement(
            root, "option", timestep=repr(TIMESTEP_S), integrator="implicitfast", cone="elliptic", impratio="10", gravity="0 0 -9.81"
        )
        visual = ET.SubElement(root, "visual")
        ET.SubElement(visual, "headlight", ambient="0.35 0.35 0.35", diffuse="0.3 0.3 0.3", specular="0.05 0.05 0.05")
        ET.SubElement(visual, "map", znear="0.005", zfar="30")
        ET.SubElement(visual, "global", offwidth="1280", offheight="960")
        ET.SubElement(visual, "quality", shadowsize="2048", offsamples="0")
        ET.SubElement(root, "statistic", extent="1", center="0 0 0.75")
        default = ET.SubElement(root, "default")
        looks = ET.SubElement(default, "default", {"class": "look"})
        ET.SubElement(looks, "geom", type="mesh", contype="0", conaffinity="0", group="2", density="0")
        ET.SubElement(looks, "mesh", inertia="shell")
        pieces = ET.SubElement(default, "default", {"class": "piece"})
        ET.SubElement(pieces, "geom", type="mesh", group="3", condim=str(_CONDIM), solref=f"{CONTACT_TIME_S} 1", rgba="0.4 0.7 0.9 0.5")

    def _backdrop(self) -> None:
        """What a camera sees where the reconstruction ends: the plain grey of a photographer's paper, a little darker below."""
        if self._is_drawn:
            above, below = (numbers(grey) for grey in BACKDROP)
            ET.SubElement(self._asset, "texture", type="skybox", builtin="gradient", rgb1=above, rgb2=below, width="8", height="48")

    def _lights_and_camera(self) -> None:
        camera = self._assets.manifest.camera
        ET.SubElement(
            self._world,
            "light",
            name="sun",
            type="directional",
            pos="0 0 4",
            dir="0.35 0.45 -0.82",
            diffuse="0.6 0.6 0.6",
            specular="0.1 0.1 0.1",
            castshadow="true",
        )
        ET.SubElement(
            self._world,
            "camera",
            name="scene",
            pos=numbers(camera.pose.position_m),
            quat=numbers(camera.pose.quat_wxyz),
            fovy=numbers([math.degrees(camera.fovy_rad)]),  # degrees, whatever compiler/angle says
        )

    def _object(self, item: ManifestObject) -> None:
        physics = self._assets.physics[item.id]
        body = ET.SubElement(self._world, "body", {"name": item.id, **pose_attributes(item.pose)})
        if item.is_movable:
            ET.SubElement(body, "freejoint", name=item.id)
            _inertial(body, physics)
        self._geoms(body, item.id, physics.friction.as_tuple())
        for name, joint in item.moving_parts.items():
            self._part(body, item.id, name, joint)

    def _part(self, base: ET.Element, object_id: str, name: str, joint: ArticulationJoint) -> None:
        """A part in its object's frame, closed. It goes through its base and its siblings: that it need not is asked of the real meshes."""
        physics = self._assets.physics[name]
        body = ET.SubElement(base, "body", name=name)
        ET.SubElement(body, "joint", joint_attributes(object_id, joint, physics))
        _inertial(body, physics)
        self._geoms(body, name, physics.friction.as_tuple())
        for other in [object_id, *self._parts.get(object_id, [])]:
            ET.SubElement(self._contact, "exclude", body1=other, body2=name)
        self._parts.setdefault(object_id, []).append(name)

    def _geoms(self, body: ET.Element, name: str, friction: Sequence[float]) -> None:
        for index, data in enumerate(self._assets.hulls.get(name, [])):
            piece = f"{name}_collision_{index}"
            vertices, faces = parse_obj(data)
            self._mesh("piece", piece, f"{name}/{PurePosixPath(piece).name}.obj", build_obj(vertices, faces))
            geom = ET.SubElement(body, "geom", {"class": "piece"}, name=piece, mesh=piece, friction=numbers(friction))
            if name in self._slowed:
                geom.set("condim", str(ROLLING_CONDIM))
                geom.set("friction", numbers([friction[0], friction[1], max(friction[2], ROLLING_M)]))
        for index, surface in enumerate(self._assets.surfaces(name) if self._is_drawn else ()):
            look = f"{name}_visual" if index == 0 else f"{name}_visual_{index}"
            self._material(look, surface)
            drawn = both_sides(surface) if surface.look.double_sided else surface
            self._mesh("look", look, f"{name}/{PurePosixPath(look).name}.obj", build_obj(drawn.vertices, drawn.faces, drawn.uv))
            ET.SubElement(body, "geom", {"class": "look"}, name=look, mesh=look, material=look)

    def _mesh(self, kind: str, name: str, file: str, data: bytes) -> None:
        ET.SubElement(self._asset, "mesh", {"class": kind}, name=name, file=file)
        self._written[f"meshes/{file}"] = data

    def _material(self, name: str, surface: Surface) -> None:
        look = surface.look
        color = to_display(np.asarray(look.base_color[:3]))
        attributes = {
            "name": name,
            "rgba": numbers([*np.round(color, 9), look.base_color[3]]),
            "specular": numbers([0.4 * (1 - look.roughness)]),
            "shininess": numbers([1 - look.roughness]),
        }
        if look.texture is not None:
            file = f"{name}.png"
            texture = ET.SubElement(self._asset, "texture", name=name, type="2d", file=file)
            self._written[f"textures/{file}"] = png_bytes(look.texture)
            attributes["texture"] = name
            if look.texture.mode == "RGBA":
                texture.set("nchannel", "4")
                attributes["rgba"] = numbers([1, 1, 1, _BLENDED])
        ET.SubElement(self._asset, "material", attributes)

    def _floor(self) -> None:
        """A plane to fall on; it is drawn only where the background has no floor of its own."""
        has_background = self._is_drawn and self._assets.manifest.background is not None
        hidden = has_background and has_floor(self._assets.surfaces("background"))
        ET.SubElement(
            self._world,
            "geom",
            name="floor",
            type="plane",
            size="0 0 0.05",
            group="3" if hidden else "2",
            condim=str(_CONDIM),
            friction=numbers(_FLOOR_FRICTION),
            solref=f"{CONTACT_TIME_S} 1",
            rgba="0.55 0.53 0.5 1",
        )


def _inertial(body: ET.Element, physics: Physics) -> None:
    mass = physics.mass
    ET.SubElement(
        body,
        "inertial",
        pos=numbers(mass.com_m),
        quat=numbers(mass.principal_axes_quat_wxyz),
        mass=numbers([mass.mass_kg]),
        diaginertia=numbers(mass.diagonal_inertia_kg_m2),
    )


def joint_attributes(object_id: str, joint: ArticulationJoint, physics: Physics) -> dict[str, str]:
    """The joint of a part, in the frame that it shares with its object when it is closed."""
    found = {
        "name": name_within(object_id, joint.name),
        "type": "slide" if joint.type == "prismatic" else "hinge",
        "pos": numbers(joint.origin),
        "axis": numbers(joint.axis),
        "range": numbers(joint.limits),
        "solreflimit": f"{CONTACT_TIME_S} 1",
    }
    if physics.joint is None:
        return found
    found |= {"frictionloss": numbers([physics.joint.friction]), "damping": numbers([physics.joint.damping])}
    if physics.joint.armature > 0:
        found["armature"] = numbers([physics.joint.armature])
    if physics.joint.stiffness > 0:
        found |= {"stiffness": numbers([physics.joint.stiffness]), "springref": numbers([physics.joint.relaxed_at])}
    return found


def has_floor(surfaces: Sequence[Surface]) -> bool:
    """Whether a background in the world has level triangles within 2 cm of z = 0 that cover a good part of its outline."""
    if not surfaces:
        return False
    corners = np.concatenate([surface.vertices[surface.faces] for surface in surfaces])
    level = (np.abs(corners[:, :, 2]) < _FLOOR_CLOSE_M).all(axis=1)
    sides = corners[level][:, 1:, :2] - corners[level][:, :1, :2]
    area = 0.5 * np.abs(sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]).sum()
    return bool(area > _FLOOR_SHARE * np.prod(np.ptp(corners.reshape(-1, 3)[:, :2], axis=0)))


def pose_attributes(pose: Pose) -> dict[str, str]:
    """``pos`` and ``quat`` of a body."""
    return {"pos": numbers(pose.position_m), "quat": numbers(pose.quat_wxyz)}


def numbers(values: Iterable[float]) -> str:
    """Numbers as MJCF writes them, in their shortest exact form."""
    return " ".join(repr(float(value)) for value in values)
