"""Where the versioned data lie that configure the flow: tiers, labs, prices, materials, policies.

In a checkout that is ``include/config``; a wheel carries the same files as ``blueprint_pipeline/config``.
"""

from pathlib import Path

import blueprint_pipeline

_PACKAGE = Path(blueprint_pipeline.__file__).parent

CONFIG_FOLDER = next(folder for folder in (_PACKAGE / "config", _PACKAGE.parent / "config") if folder.is_dir())
