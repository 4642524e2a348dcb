"""PhysX's own settings, as applied schemas and attributes by name: usd-core has no PhysxSchema, and Kit reads them by name.

Source: Omni Physics USD schema (``physxScene``, ``physxRigidBody``, ``physxArticulation``, ``physxJoint``, ``physxMaterial``,
``physxContactReport``).
"""

from typing import Any

from pxr import Sdf, Usd

Types = Sdf.ValueTypeNames

_SCENE: tuple[tuple[str, Any, Any], ...] = (
    # The same scene on the same machine: CPU, one order of solving, whatever else is in the scene.
    ("enableEnhancedDeterminism", Types.Bool, True),
    ("enableGPUDynamics", Types.Bool, False),
    ("broadphaseType", Types.Token, "MBP"),
    ("solverType", Types.Token, "TGS"),
    # Without it TGS adds gravity once a step, and velocities are noisy.
    ("enableExternalForcesEveryIteration", Types.Bool, True),
    ("enableCCD", Types.Bool, False),
    ("enableStabilization", Types.Bool, False),
)
_BODY: tuple[tuple[str, Any, Any], ...] = (
    ("solverPositionIterationCount", Types.Int, 32),
    ("solverVelocityIterationCount", Types.Int, 1),
    # A sleeping body reports no contacts.
    ("sleepThreshold", Types.Float, 0.0),
    ("stabilizationThreshold", Types.Float, 0.0),
    ("maxDepenetrationVelocity", Types.Float, 1.0),
)


def set_scene(prim: Usd.Prim, timestep_s: float) -> None:
    """Determinism, solver and rate of a physics scene."""
    prim.AddAppliedSchema("PhysxSceneAPI")
    _set(prim, "physxScene", _SCENE)
    _set(prim, "physxScene", (("timeStepsPerSecond", Types.UInt, round(1.0 / timestep_s)),))


def set_body(prim: Usd.Prim, *, weightless: bool) -> None:
    """Solver of a rigid body, and whether it reports its contacts (all of them: no threshold)."""
    prim.AddAppliedSchema("PhysxRigidBodyAPI")
    _set(prim, "physxRigidBody", (*_BODY, ("disableGravity", Types.Bool, weightless)))
    prim.AddAppliedSchema("PhysxContactReportAPI")
    _set(prim, "physxContactReport", (("threshold", Types.Float, 0.0),))


def set_articulation(prim: Usd.Prim) -> None:
    """Solver of an articulation; its links do not collide with one another, for plans are made free of that."""
    prim.AddAppliedSchema("PhysxArticulationAPI")
    numbers = tuple(row for row in _BODY if row[0] != "maxDepenetrationVelocity")
    _set(prim, "physxArticulation", (*numbers, ("enabledSelfCollisions", Types.Bool, False)))


def set_joint(prim: Usd.Prim, *, armature: float, max_velocity: float) -> None:
    """Rotor inertia [kg m2, kg] and largest speed [deg/s, m/s] of a joint."""
    prim.AddAppliedSchema("PhysxJointAPI")
    _set(prim, "physxJoint", (("armature", Types.Float, armature), ("maxJointVelocity", Types.Float, max_velocity)))


def set_material(prim: Usd.Prim) -> None:
    """Of two materials the rougher counts, as in the twin."""
    prim.AddAppliedSchema("PhysxMaterialAPI")
    _set(prim, "physxMaterial", (("frictionCombineMode", Types.Token, "max"), ("restitutionCombineMode", Types.Token, "max")))


def _set(prim: Usd.Prim, namespace: str, rows: tuple[tuple[str, Any, Any], ...]) -> None:
    for name, kind, value in rows:
        prim.CreateAttribute(f"{namespace}:{name}", kind, custom=False).Set(value)
