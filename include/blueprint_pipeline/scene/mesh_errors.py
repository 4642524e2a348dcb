"""What can be wrong with a mesh file: said by several modules that read one."""

from blueprint_pipeline.scene.errors import SceneError


class MeshEmpty(SceneError):
    """A mesh has no surface."""

    code = "scene.mesh_empty"
    template = "The mesh of object {object_id} is empty: {file} {problem}. Expected triangles with an area."

    object_id: str
    file: str
    problem: str


class MeshUnreadable(SceneError):
    """A mesh file is damaged."""

    code = "scene.mesh_unreadable"
    template = (
        "The mesh of object {object_id} is unreadable: {file} {problem}. Expected a whole, self-contained binary "
        "glTF 2.0 file: export it again."
    )

    object_id: str
    file: str
    problem: str


class MeshUnsupported(SceneError):
    """A mesh file is whole, but needs something that this importer does not have."""

    code = "scene.mesh_unsupported"
    template = (
        "The mesh of object {object_id} cannot be read: {file} needs {feature}, which this importer does not read. "
        "Export it without {feature}. Extensions that are read: {supported}."
    )

    object_id: str
    file: str
    feature: str
    supported: tuple[str, ...]


class MeshTooLarge(SceneError):
    """A mesh file asks for more memory than a scene may take."""

    code = "scene.mesh_too_large"
    template = "The mesh of object {object_id} is too large: {file} holds {found}; expected at most {limit}. Export it smaller."

    object_id: str
    file: str
    found: str
    limit: str


class TextureUnreadable(SceneError):
    """A picture within a mesh file cannot be read."""

    code = "scene.texture_unreadable"
    template = (
        "A texture of object {object_id} is unreadable: image {image} of {file} {problem}. Expected a whole PNG, JPEG or WebP picture: "
        "export the mesh again, or remove the texture."
    )

    object_id: str
    file: str
    image: int
    problem: str
