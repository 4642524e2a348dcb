"""The web application of :mod:`plugins.pages.pictures`."""

import re

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Response

from blueprint_pipeline.episode.record import STRIPS_FOLDER
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.storage import InvalidId, Workspace

_NAME = re.compile(r"[0-9a-f]{16}\.jpg")

app = FastAPI(title="Pictures of scenes", dependencies=[Depends(get_user)])


@app.get("/{scene_id}/{name}")
def get_strip(scene_id: str, name: str) -> Response:
    """A strip of stills of a scene's episodes; its name is that of its content, so a browser may keep it."""
    try:
        folder = Workspace(load_settings().workspace).scene(scene_id)
    except InvalidId as error:
        raise HTTPException(404, error.message) from error
    data = folder.find_bytes(f"{STRIPS_FOLDER}/{name}") if _NAME.fullmatch(name) else None
    if data is None:
        raise HTTPException(404, f"scene {scene_id} has no picture {name}")
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=604800, immutable"})
