"""Draws with OpenGL what a model's cameras see: colour, depth and which body a pixel belongs to.

A :class:`~blueprint_pipeline.simulation.render_profiles.RenderProfile` says how good the pictures are: shadows and several samples a
pixel cost most of a frame's time on a CPU.
"""

import weakref
from collections.abc import Collection
from typing import Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.errors import MissingPartError
from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.mujoco.context import GlContext, make_context
from blueprint_pipeline.simulation.mujoco.drawing import GlBackend
from blueprint_pipeline.simulation.mujoco.fixed_view import FixedView
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile

_EXTRA_GEOMS = 64
_COLLISION_GROUP = 3


class SamplesMissing(MissingPartError):
    """OpenGL takes fewer samples a pixel than the profile says."""

    code = "simulation.samples_missing"
    template = (
        "The render profile '{profile}' takes {wanted} samples a pixel, and {backend} offers {found} here. Draw with another backend "
        "(BPP__RENDER__BACKEND), or choose another profile."
    )

    backend: str
    profile: str
    wanted: int
    found: int


class Renderer:
    """Draws frames of one size.

    Args:
        model: Compiled model, with its lights as they shall be; only its quality settings for drawing are changed.
        width: Pixels.
        height: Pixels.
        backend: Which OpenGL to use; see :func:`blueprint_pipeline.simulation.mujoco.renderers.choose_backend`.
        profile: How good the pictures are.

    Raises:
        SamplesMissing: OpenGL takes fewer samples a pixel here.
    """

    follows_looks = True

    def __init__(self, model: mujoco.MjModel, width: int, height: int, backend: GlBackend, profile: RenderProfile = FAST) -> None:
        _set_quality(model, profile)
        model.vis.global_.offwidth = width
        model.vis.global_.offheight = height
        self._model = model
        self._groups = model.geom_group.copy()
        self._fixed = model.body_weldid[model.geom_bodyid] == 0
        self._no_perturbation = mujoco.MjvPerturb()
        self._gl = make_context(backend, width, height)
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        self._free.atexit = False
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        # As the depth buffer has it: turned round, small numbers far away would lose the digits that tell two surfaces apart.
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        if self._context.offSamples < model.vis.quality.offsamples:
            found = max(1, self._context.offSamples)
            self.close()
            raise SamplesMissing(backend, profile.name, profile.samples, found)
        self._profile = profile
        self._scene = mujoco.MjvScene(model, model.ngeom + model.nlight + _EXTRA_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = profile.shadow_map_px > 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = profile.reflections
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
        self._option = mujoco.MjvOption()
        self._option.geomgroup[_COLLISION_GROUP] = 0
        self._option.sitegroup[:] = 0
        self._option.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._image = np.zeros((height, width, 3), dtype=np.uint8)
        self._depth = np.zeros((height, width), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self, data: mujoco.MjData, camera_id: int) -> None:
        """Take the scene as ``data`` has it (positions must be up to date), seen by a camera."""
        self._look(data, camera_id, np.ones(self._model.ngeom, dtype=bool))

    def _look(self, data: mujoco.MjData, camera_id: int, chosen: NDArray[np.bool_]) -> None:
        """Take the chosen geoms, (ngeom,).

        A geom in the hidden group costs nothing; on a CPU, vertices out of sight cost as much as those in sight. But they cast shadows.
        Geoms are drawn in the order in which they are added, and a pixel that is behind another needs no light and no texture. So what
        moves comes first, then what stands still, the room around all last.
        """
        self._camera.fixedcamid = camera_id
        if self._profile.mixes:
            self._add(data, np.ones(self._model.ngeom, dtype=bool), first=True)
            return
        seen = chosen & (self._groups != _COLLISION_GROUP) & self._in_sight(data, camera_id)
        self._add(data, seen & ~self._fixed, first=True)
        for body in self._farthest_last(data, camera_id, seen & self._fixed):
            self._add(data, seen & (self._model.geom_bodyid == body), first=False)

    def _add(self, data: mujoco.MjData, geoms: NDArray[np.bool_], *, first: bool) -> None:
        """Add geoms to the scene that is drawn; the first call also empties it, and takes lights and camera."""
        self._model.geom_group[:] = np.where(geoms, self._groups, _COLLISION_GROUP)
        if first:
            every = mujoco.mjtCatBit.mjCAT_ALL.value
            mujoco.mjv_updateScene(self._model, data, self._option, None, self._camera, every, self._scene)
        else:
            static = mujoco.mjtCatBit.mjCAT_STATIC.value
            mujoco.mjv_addGeoms(self._model, data, self._option, self._no_perturbation, static, self._scene)
        self._model.geom_group[:] = self._groups

    def _farthest_last(self, data: mujoco.MjData, camera_id: int, geoms: NDArray[np.bool_]) -> list[int]:
        """The bodies of geoms, by how far from the camera the farthest of each may reach (planes reach farthest)."""
        model = self._model
        reach = np.linalg.norm(data.geom_xpos - data.cam_xpos[camera_id], axis=1) + model.geom_rbound
        reach[model.geom_rbound == 0.0] = np.inf
        farthest = {int(body): float(reach[geoms & (model.geom_bodyid == body)].max()) for body in np.unique(model.geom_bodyid[geoms])}
        return sorted(farthest, key=lambda body: (farthest[body], body))

    def _in_sight(self, data: mujoco.MjData, camera_id: int) -> NDArray[np.bool_]:
        """Which geoms' bounding spheres reach into the camera's pyramid (planes have none, and always do), (ngeom,)."""
        model = self._model
        if model.cam_sensorsize[camera_id].any() or model.cam_projection[camera_id] != mujoco.mjtProjection.mjPROJ_PERSPECTIVE:
            return np.ones(model.ngeom, dtype=bool)
        half_v = np.tan(np.deg2rad(model.cam_fovy[camera_id]) / 2)
        half_h = half_v * self._rectangle.width / self._rectangle.height
        inwards = np.array([[1.0, 0.0, -half_h], [-1.0, 0.0, -half_h], [0.0, 1.0, -half_v], [0.0, -1.0, -half_v]])
        inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
        local = (data.geom_xpos - data.cam_xpos[camera_id]) @ data.cam_xmat[camera_id].reshape(3, 3)
        reaches: NDArray[np.bool_] = (local @ inwards.T >= -model.geom_rbound[:, None]).all(axis=1)
        in_sight: NDArray[np.bool_] = reaches | (model.geom_rbound == 0.0)
        return in_sight

    def take_pictures(self, textures: Collection[int]) -> None:
        """Take the pixels of textures (ids) from the model anew, from the next view on."""
        self._gl.make_current()
        for texture in sorted(textures):
            mujoco.mjr_uploadTexture(self._model, self._context, texture)

    def fixed_view(self, camera_id: int) -> FixedView | None:
        """The view of a camera, for frame after frame: the same pixels as :meth:`look` and :meth:`draw`, in half the time.

        Returns:
            ``None`` where the camera moves, or something drawn is transparent, or what moves casts shadows: then all must be drawn again.
        """
        model = self._model
        drawn = [geom for geom in range(model.ngeom) if model.geom_group[geom] != _COLLISION_GROUP]
        opaque = all(self._alpha(geom) >= 1.0 for geom in drawn)
        if self._profile.mixes or model.body_weldid[model.cam_bodyid[camera_id]] != 0 or not opaque:
            return None

        def draw_geoms(data: mujoco.MjData, chosen: NDArray[np.bool_]) -> tuple[ImageArray, NDArray[np.float32]]:
            self._look(data, camera_id, chosen)
            self._render(self._image, self._depth)
            return self._image[::-1], self._depth[::-1]

        return FixedView(draw_geoms, model.ngeom)

    def _alpha(self, geom: int) -> float:
        material = self._model.geom_matid[geom]
        return float(self._model.geom_rgba[geom, 3] if material < 0 else self._model.mat_rgba[material, 3])

    def _render(self, image: ImageArray | None, depth: NDArray[np.float32] | None) -> None:
        self._gl.make_current()
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(image, depth, self._rectangle, self._context)

    def draw(self) -> ImageArray:
        """The view last taken: (height, width, 3) RGB, first row on top. The array is a view, and is used again by the next call."""
        self._render(self._image, None)
        return self._image[::-1]

    def draw_depth(self) -> NDArray[np.float32]:
        """Distance along the viewing axis [m] of the view last taken: (height, width), infinite where nothing is.

        Source: OpenGL 1.5 specification, glFrustum: depth d in [0, 1] to z = n f / (f - d (f - n)).
        """
        self._draw_ids(None, self._depth)
        extent = self._model.stat.extent
        near, far = self._model.vis.map.znear * extent, self._model.vis.map.zfar * extent
        depth = 1.0 - self._depth[::-1].astype(np.float64)
        distance = near * far / (far - depth * (far - near))
        return np.where(depth >= 1.0, np.inf, distance).astype(np.float32)

    def draw_bodies(self) -> NDArray[np.int32]:
        """Body id of every pixel of the view last taken: (height, width), -1 where nothing is."""
        self._draw_ids(self._image, None)
        channels = self._image[::-1].astype(np.int32)
        segment = channels[..., 0] + (channels[..., 1] << 8) + (channels[..., 2] << 16)
        body_of_segment = np.full(self._scene.ngeom + 1, -1, dtype=np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.objid >= 0:
                body_of_segment[geom.segid + 1] = self._model.geom_bodyid[geom.objid]
        bodies: NDArray[np.int32] = body_of_segment[segment]
        return bodies

    def _draw_ids(self, image: ImageArray | None, depth: NDArray[np.float32] | None) -> None:
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 1
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        self._render(image, depth)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0

    def close(self) -> None:
        """Free the OpenGL context; a renderer that is dropped frees it, too."""
        self._free()


def _free(gl: GlContext, context: mujoco.MjrContext) -> None:
    """Free what is drawn with in its own OpenGL context: in another's, textures and meshes of the same numbers would be deleted."""
    gl.make_current()
    context.free()
    gl.free()


def _set_quality(model: mujoco.MjModel, profile: RenderProfile) -> None:
    """Set a model's quality of drawing as a profile says; nothing that moves depends on it."""
    model.vis.quality.offsamples = profile.samples if profile.samples > 1 else 0
    model.vis.quality.shadowsize = profile.shadow_map_px


def camera_id(model: mujoco.MjModel, name: str) -> int:
    """Id of a camera by its own name, or by its name on the robot (``wrist`` for ``robot/wrist``).

    Raises:
        UnknownName: The model has neither.
    """
    names = [model.camera(index).name for index in range(model.ncam)]
    for candidate in (name, f"robot/{name}"):
        if candidate in names:
            return names.index(candidate)
    raise UnknownName("camera", name, names)
