"""A server of S3 for tests, and what clients need to find it."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from cos_inspect.captures import places

REGION = "us-east-1"


@contextmanager
def s3_server(bucket: str, patch: pytest.MonkeyPatch) -> Iterator[object]:
    """Its client; ``s3://`` and ``cos://`` lead there, also in other processes."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": REGION,
        "COS_ENDPOINT_URL": endpoint,
        "COS_SECRET_ID": "testing",
        "COS_SECRET_KEY": "testing-secret",
    }.items():
        patch.setenv(name, value)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _forget()
    try:
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=bucket)
        yield client
    finally:
        _forget()
        server.stop()


def _forget() -> None:
    """Filesystems are kept by their settings, and those name the server."""
    places._filesystem.cache_clear()
    places._size_at.cache_clear()
    fsspec.get_filesystem_class("s3").clear_instance_cache()
