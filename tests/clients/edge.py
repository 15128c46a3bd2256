"""Clients that others wrote against the releases: the edge's URL, S3's URL, the bucket, the public key.

The bucket holds release 1.0 of the monitor `slack`.
"""

import base64
import hashlib
import json
import sys

import boto3
import requests
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

edge, s3_url, bucket, public_key = sys.argv[1:]
METADATA = f"{edge}/binaries/slack-monitor/metadata.json"
VERSIONED = f"{edge}/binaries/slack-monitor/watchy-slack-monitor-1.0"

# --- what lies in the bucket, and what it says of caching ---

s3 = boto3.client(
    "s3",
    endpoint_url=s3_url,
    region_name="us-east-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
    config=Config(s3={"addressing_style": "path"}),
)
cache_control = {
    item["Key"].rsplit("/", 1)[1]: s3.head_object(Bucket=bucket, Key=item["Key"])["CacheControl"]
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]
}
assert cache_control == {
    "metadata.json": "public, max-age=60",
    "watchy-slack-monitor-1.0": "public, max-age=31536000, immutable",
    "watchy-slack-monitor-latest": "no-cache",
}, cache_control

# --- the edge, by requests ---


def cache_of(response):
    return response.headers["X-Cache"]


first = requests.get(METADATA)
assert first.status_code == 200 and cache_of(first) == "Miss from cloudfront", first.headers
again = requests.get(METADATA)
assert cache_of(again) == "Hit from cloudfront" and again.content == first.content
assert again.headers["Content-Type"] == "application/json" and int(again.headers["Age"]) >= 0

etag = first.headers["ETag"]
for asked in (etag, f'"other", {etag}', f"W/{etag}", "*"):
    unchanged = requests.get(METADATA, headers={"If-None-Match": asked})
    assert unchanged.status_code == 304 and unchanged.content == b"", asked
    assert unchanged.headers["ETag"] == etag
assert requests.get(METADATA, headers={"If-None-Match": '"other"'}).status_code == 200

head = requests.head(METADATA)
assert head.status_code == 200 and head.content == b"", head.content
assert head.headers["Content-Length"] == str(len(first.content)), head.headers

metadata = first.json()
binary = requests.get(VERSIONED).content
assert len(binary) == metadata["binarySize"]
assert hashlib.sha256(binary).hexdigest() == metadata["sha256"]

part = requests.get(VERSIONED, headers={"Range": "bytes=10-19"})
assert part.status_code == 206 and part.content == binary[10:20]
assert part.headers["Content-Range"] == f"bytes 10-19/{len(binary)}"
assert requests.get(VERSIONED, headers={"Range": "bytes=-4"}).content == binary[-4:]
beyond = requests.get(VERSIONED, headers={"Range": f"bytes={len(binary)}-"})
assert beyond.status_code == 416 and beyond.headers["Content-Range"] == f"bytes */{len(binary)}"

latest = VERSIONED.replace("-1.0", "-latest")
assert cache_of(requests.get(latest)) == "Miss from cloudfront"
assert cache_of(requests.get(latest)) == "RefreshHit from cloudfront", "no-cache is asked about every time"

missing = requests.get(f"{edge}/binaries/missing")
assert missing.status_code == 404 and cache_of(missing) == "Error from cloudfront"
assert requests.post(METADATA).status_code == 403

# --- the signature, by an implementation of minisign's format from its description ---

_, signature_line, trusted_comment, global_line = metadata["sig"].strip().splitlines()
key = base64.b64decode(public_key)
assert key[:2] == b"Ed", key
verify = Ed25519PublicKey.from_public_bytes(key[10:]).verify
signature = base64.b64decode(signature_line)
assert signature[:2] == b"ED" and signature[2:10] == key[2:10], "pre-hashed, by this key"
verify(signature[10:], hashlib.blake2b(metadata["signed"].encode()).digest())
comment = trusted_comment.removeprefix("trusted comment: ").encode()
verify(base64.b64decode(global_line), signature[10:] + comment)

signed = json.loads(metadata["signed"])
for plain, name in (("version", "version"), ("sha256", "sha256"), ("binarySize", "size"), ("downloadUrl", "url")):
    assert metadata[plain] == signed[name], plain
print("ok")
