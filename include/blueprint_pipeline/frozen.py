"""The base of every record that is read from or written to a file."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
