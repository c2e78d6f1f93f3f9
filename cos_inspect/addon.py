"""The door for ``mitmdump -s``, ``mitmweb -s`` and ``mitmproxy -s``.

mitmproxy loads this file by its path. The package is then the one that the file lies in, also
where another copy is installed.
"""

import importlib.util
import logging
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _other_copy() -> Path | None:
    """The folder of another copy that is loaded already; None when the one here is, from now
    on. Two cannot be: their modules have the same names."""
    loaded = sys.modules.get("cos_inspect")
    if loaded is not None:
        folder = Path(loaded.__file__ or "").resolve().parent
        return None if folder == _HERE else folder
    spec = importlib.util.spec_from_file_location(
        "cos_inspect", _HERE / "__init__.py", submodule_search_locations=[str(_HERE)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{_HERE} is no package")
    package = importlib.util.module_from_spec(spec)
    sys.modules["cos_inspect"] = package
    spec.loader.exec_module(package)
    return None


addons: list[object] = []
_other = _other_copy()
if _other is None:
    from cos_inspect.proxy.inspector import CosInspect

    addons.append(CosInspect())
else:
    logging.getLogger(__name__).error(
        "%s cannot be used: cos_inspect is loaded from %s already", Path(__file__), _other
    )
