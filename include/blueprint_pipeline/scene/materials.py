"""The tables of materials and of kinds of things: data with sources in ``include/config``, validated when loaded."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.frozen import FrozenModel

UNKNOWN = "unknown"

Positive = Annotated[float, Field(gt=0)]


class MaterialTableInvalid(ConfigFileInvalid):
    """include/config/materials.yaml or categories.yaml cannot be used."""

    code = "scene.material_table_invalid"


class Material(FrozenModel):
    """A class of material."""

    density_kg_m3: Positive
    sliding: Positive
    torsional_m: Positive
    rolling_m: Positive
    restitution: Annotated[float, Field(ge=0, le=1)]
    shell_thickness_m: Positive


class MaterialTable(FrozenModel):
    """``materials.yaml``."""

    schema_version: Literal["1.0"]
    materials: dict[str, Material]
    aliases: dict[str, str]

    @model_validator(mode="after")
    def _aliases_lead_somewhere(self) -> "MaterialTable":
        missing = sorted({name for name in (*self.aliases.values(), UNKNOWN) if name not in self.materials})
        if missing:
            raise ValueError(f"no material is named {', '.join(missing)}")
        return self

    def find(self, material_type: str) -> tuple[str, Material]:
        """Name and record of a material; ``unknown`` for one that the table does not have."""
        name = material_type.strip().lower()
        name = self.aliases.get(name, name)
        return (name, self.materials[name]) if name in self.materials else (UNKNOWN, self.materials[UNKNOWN])


class Category(FrozenModel):
    """A kind of thing."""

    size_m: tuple[Positive, Positive]
    mass_kg: tuple[Positive, Positive]
    build: Literal["solid", "filled", "hollow"]
    apparent_density_kg_m3: Positive | None = None
    wall_m: Positive | None = None

    @model_validator(mode="after")
    def _build_is_whole(self) -> "Category":
        if (self.build == "filled") != (self.apparent_density_kg_m3 is not None) or (self.build == "hollow") != (self.wall_m is not None):
            raise ValueError("filled needs apparent_density_kg_m3, hollow needs wall_m, solid neither")
        if self.size_m[0] >= self.size_m[1] or self.mass_kg[0] >= self.mass_kg[1]:
            raise ValueError("the first of two bounds must be the smaller one")
        return self


class CategoryTable(FrozenModel):
    """``categories.yaml``."""

    schema_version: Literal["1.0"]
    categories: dict[str, Category]

    @model_validator(mode="after")
    def _has_unknown(self) -> "CategoryTable":
        if UNKNOWN not in self.categories:
            raise ValueError("no category is named unknown")
        return self

    def find(self, category: str) -> tuple[str, Category]:
        """Name and record of a category, by its own name or the last word of it (``dinner plate``); else ``unknown``."""
        words = category.strip().lower().replace("_", " ").split()
        for name in ("_".join(words), words[-1] if words else "", (words[-1] if words else "").removesuffix("s")):
            if name in self.categories:
                return name, self.categories[name]
        return UNKNOWN, self.categories[UNKNOWN]


@cache
def load_materials(path: Path = CONFIG_FOLDER / "materials.yaml") -> MaterialTable:
    """Read the table of materials.

    Raises:
        MaterialTableInvalid: The file is missing or not in its format.
    """
    return load_config(path, MaterialTable, MaterialTableInvalid)


@cache
def load_categories(path: Path = CONFIG_FOLDER / "categories.yaml") -> CategoryTable:
    """Read the table of kinds of things.

    Raises:
        MaterialTableInvalid: The file is missing or not in its format.
    """
    return load_config(path, CategoryTable, MaterialTableInvalid)
