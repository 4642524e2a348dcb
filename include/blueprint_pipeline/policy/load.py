"""A policy by what a person calls it."""

import zipfile
from importlib import import_module
from pathlib import Path

from blueprint_pipeline.policy.baseline import BaselinePolicy, load_baseline
from blueprint_pipeline.policy.errors import PolicyNotLoaded
from blueprint_pipeline.policy.evaluate import ActingPolicy


def load_policy(name: str, kit: Path) -> ActingPolicy:
    """The policy of a file that the baseline was written to, or a callable of a module that can be imported.

    Args:
        name: ``policy.npz``, or ``MODULE:CALLABLE``.
        kit: Folder of the kit in which it acts.

    Raises:
        PolicyNotLoaded: There is none.
    """
    if name.endswith(".npz"):
        try:
            return BaselinePolicy(load_baseline(Path(name)), kit)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise PolicyNotLoaded(name, str(error)) from error
    module, _, attribute = name.partition(":")
    if not attribute:
        raise PolicyNotLoaded(name, "it is neither an .npz file nor MODULE:CALLABLE")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PolicyNotLoaded(name, str(error)) from error
    if not callable(found):
        raise PolicyNotLoaded(name, f"it is a {type(found).__name__}, which cannot be called")
    acting: ActingPolicy = found
    return acting
