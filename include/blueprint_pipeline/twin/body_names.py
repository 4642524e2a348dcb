"""Names of the bodies of a scene: an object's is its id, and a part that hangs on a joint of an object is ``{object}/{part}``.

A joint has its object's id before its own name, too: ``{object}/{joint}``.
"""

from typing import Annotated

from pydantic import AfterValidator

from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.workspace.storage import InvalidId, validate_id

_SEPARATOR = "/"


def name_within(object_id: str, name: str) -> str:
    """The name of a part or a joint of an object in a scene.

    >>> name_within("cabinet", "drawer")
    'cabinet/drawer'
    """
    return f"{object_id}{_SEPARATOR}{name}"


def object_of(name: str) -> str:
    """The object to which a body or a joint belongs.

    >>> object_of("cabinet/drawer"), object_of("can")
    ('cabinet', 'can')
    """
    return name.partition(_SEPARATOR)[0]


def is_part(body: str) -> bool:
    """Whether a body is a part that hangs on an object, and neither an object nor of a robot.

    >>> is_part("cabinet/drawer"), is_part("cabinet"), is_part("robot/hand")
    (True, False, False)
    """
    return _SEPARATOR in body and not body.startswith(ROBOT_PREFIX)


def _validate_field(value: str) -> str:
    object_id, *within = value.split(_SEPARATOR, maxsplit=1)
    try:
        for segment in (object_id, *within):
            validate_id(segment)
    except InvalidId as error:
        raise ValueError(error.message) from error
    return value


BodyName = Annotated[str, AfterValidator(_validate_field)]
"""A field that names an object, or a part of one."""
