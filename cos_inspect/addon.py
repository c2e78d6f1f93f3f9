"""The door for ``mitmdump -s``, ``mitmweb -s`` and ``mitmproxy -s``."""

import sys
from pathlib import Path

# mitmproxy loads this file by its path: from a checkout the package is found beside it.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from cos_inspect.proxy.inspector import CosInspect  # noqa: E402

addons = [CosInspect()]
