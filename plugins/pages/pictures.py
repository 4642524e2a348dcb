"""Pictures of a scene, for people who are logged in to Airflow: ``/blueprint-pipeline/pictures/{scene_id}/{name}``.

A question to a person is Markdown in Airflow's UI, which shows pictures of an http address alone; a workspace is a bucket or a folder. So
Airflow's API server reads the picture from the workspace, and asks for the same login as for the page that shows it.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PREFIX = "/blueprint-pipeline/pictures"

Message = MutableMapping[str, Any]


async def pictures(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """The application (ASGI). What it needs is imported with its first call: a task's process loads plugins too, and calls none."""
    from plugins.pages.picture_app import app

    await app(scope, receive, send)


def picture_path(scene_id: str, name: str) -> str:
    """The path of a strip (:mod:`blueprint_pipeline.render.strip`) below Airflow's address."""
    return f"{PREFIX}/{scene_id}/{name.rpartition('/')[2]}"
