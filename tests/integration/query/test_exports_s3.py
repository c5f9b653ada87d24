"""Exports in an S3-compatible bucket, against a server that speaks S3 on loopback."""

import csv
import io
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer
from prometheus_client import CollectorRegistry

from postmeter.query.exports import s3_storage, service
from postmeter.query.metrics import ExportMetrics
from postmeter.query.requests.handler import system_clock
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from tests.integration.export_service import Api, exporting, fill, message, noon
from tests.integration.running_query import query_settings

KEY_ID, KEY_SECRET = "test-key", "test-secret"


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.name = f"test-{uuid.uuid4().hex}"  # servers in one process share their buckets
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=KEY_SECRET,
        )
        self._client.create_bucket(Bucket=self.name)

    @property
    def settings(self) -> dict[str, Any]:
        """Of a query-service that uses it."""
        return {
            "export_bucket": f"s3://{self.name}/of/postmeter",
            "export_endpoint": self.endpoint,
            "export_region": "us-east-1",
            "export_key_id": KEY_ID,
            "export_key_secret": Secret(KEY_SECRET),
        }

    def keys(self) -> list[str]:
        return [found["Key"] for found in self._client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def put(self, key: str) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=b"leftover")

    def etag(self, key: str) -> str:
        return str(self._client.head_object(Bucket=self.name, Key=key)["ETag"])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    # Whatever credentials the machine has: none of them is used.
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Bucket(f"http://{host}:{port}")
    finally:
        server.stop()


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path, bucket: Bucket) -> AsyncIterator[Api]:
    async with exporting(postgres_dsn, redis_url, tmp_path, **bucket.settings) as made:
        yield made


async def test_a_link_leads_to_the_bucket_for_a_moment(api: Api, bucket: Bucket) -> None:
    """The bucket's own URL is good for whoever has it, whatever has become of the key that asked."""
    wanted = await message(api.here, api.workspace)
    done = await api.completed(export_type="messages")
    own = done["download_url"].replace("https://gateway.example", api.url)
    async with api.session.get(own, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (302, "private, no-store")
        link = answer.headers["Location"]
    assert link.startswith(f"{bucket.endpoint}/{bucket.name}/of/postmeter/{done['export_id']}.1.csv?")
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["60"]
    assert KEY_SECRET not in link
    async with api.session.get(link) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{done["export_id"]}.csv"'
        content = await answer.read()
    assert content == await api.download(done["download_url"])
    assert len(content) == done["file_size_bytes"]
    assert [row["message_id"] for row in csv.DictReader(io.StringIO(content.decode()))] == [str(wanted)]
    assert api.files() == []


async def test_a_large_file_is_uploaded_in_parts_and_whole(
    api: Api, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_storage, "CHUNK", 5 << 20)
    await fill(api.here, api.workspace, 25_000, noon())
    done = await api.completed(export_type="messages", format="json")
    content = await api.download(done["download_url"])
    assert len(content) == done["file_size_bytes"] > 5 << 20
    assert content.count(b"\n") == 25_000
    assert bucket.etag(f"of/postmeter/{done['export_id']}.1.jsonl").endswith('-3"')  # of three parts


async def test_leftovers_and_expired_files_are_removed_from_the_bucket(
    api: Api, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    await message(api.here, api.workspace)
    done = await api.completed(export_type="messages")
    # A second attempt, published by a worker that died before it could say so.
    await api.here.pool.execute("UPDATE export SET attempt = 2")
    bucket.put(f"of/postmeter/{done['export_id']}.2.csv")
    bucket.put("of/postmeter/of-somebody-else")
    assert len(bucket.keys()) == 3
    await api.here.pool.execute("UPDATE export SET expires_at = now()")
    await api.made.worker.sweep()
    assert bucket.keys() == ["of/postmeter/of-somebody-else"]
    assert (await api.status(done["export_id"]))[1]["data"]["status"] == "expired"


async def test_a_bucket_that_refuses_fails_the_export_in_plain_words(
    postgres_dsn: str, redis_url: str, tmp_path: Path, bucket: Bucket
) -> None:
    missing = {**bucket.settings, "export_bucket": "s3://no-such-bucket"}
    async with exporting(postgres_dsn, redis_url, tmp_path, retry_seconds=0.01, **missing) as api:
        await message(api.here, api.workspace)
        reason = await api.failed(export_type="messages")
        assert reason == "the storage for exports did not take the file; order it again later"
        assert await api.counted("retried") == 2
        assert api.files() == []


async def test_a_bucket_without_the_extra_is_a_bad_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "postmeter.query.exports.s3_storage")
    settings = query_settings(export_bucket="s3://bucket", export_dir=str(tmp_path))
    pool = await service.connect(settings)
    with pytest.raises(SettingsError, match=r"POSTMETER_EXPORT_BUCKET needs `pip install 'postmeter\[s3\]'`"):
        service.build(settings, pool, system_clock, ExportMetrics(CollectorRegistry()))
