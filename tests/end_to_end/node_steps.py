"""Single calls of the Node SDK through a proxy."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import BUCKET, REGION, SECRET_ID, SECRET_KEY, Inspected

_NODE = Path(__file__).with_name("node")


def missing() -> str | None:
    """Why the Node SDK cannot be used; in CI it must be there."""
    if os.environ.get("CI") == "true":
        return None
    if shutil.which("node") is None:
        return "node is not installed"
    if not (_NODE / "node_modules" / "cos-nodejs-sdk-v5").is_dir():
        return "the Node SDK is not installed; run npm install in tests/end_to_end/node"
    return None


needs_node = pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing")


def run_node(proxy: Inspected, folder: Path, **steps: str) -> dict[str, Any]:
    """Runs one step after the other (``put="key"``, see ``node/steps.js``) and returns the
    HTTP status, or the error, by key. Nothing when Node is not there."""
    if missing() is not None:
        return {}
    done = subprocess.run(
        ["node", "steps.js", *(word for pair in steps.items() for word in pair)],
        cwd=_NODE,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "NODE_EXTRA_CA_CERTS": proxy.ca_pem,
            "COS_PROXY": proxy.url,
            "COS_BUCKET": BUCKET,
            "COS_REGION": REGION,
            "COS_SECRET_ID": SECRET_ID,
            "COS_SECRET_KEY": SECRET_KEY,
            "COS_FOLDER": str(folder),
        },
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends: dict[str, Any] = json.loads(done.stdout)
    return ends
