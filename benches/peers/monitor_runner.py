"""monitor-runner in Python on the Lambda Python runtime client, for comparison.

The same flow with the same care, as a good Python developer would write it: a connection that is kept, a conditional
request, a hash taken while the download streams, a temporary file renamed into place, a memo of what was verified,
a child with a clean environment. Standard library but for urllib3, which is faster than requests.
"""

import hashlib
import json
import os
import subprocess
import tempfile
import time
from datetime import datetime, timezone

import urllib3

RELEASES_URL = os.environ["RELEASES_URL"]
CACHE_DIR = os.environ["CACHE_DIR"]
PREFIX = os.environ.get("ARTIFACT_PREFIX", "watchy")
CHUNK = 256 * 1024

http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=urllib3.Retry(2, redirect=False))
known = {}  # monitor -> (etag, metadata)
verified = {}  # monitor -> (stat, sha256)


def fingerprint(path):
    stat = os.stat(path, follow_symlinks=False)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def newest(monitor):
    etag, metadata = known.get(monitor, (None, None))
    url = f"{RELEASES_URL}/binaries/{monitor}-monitor/metadata.json"
    answer = http.request("GET", url, headers={"If-None-Match": etag} if etag else {})
    if answer.status == 304:
        return metadata
    if answer.status != 200:
        raise RuntimeError(f"{url} answered {answer.status}")
    metadata = json.loads(answer.data)
    known[monitor] = (answer.headers.get("ETag"), metadata)
    return metadata


def is_cached(monitor, binary, info_path, metadata):
    try:
        with open(info_path, encoding="utf-8") as file:
            info = json.load(file)
        if info["version"] != metadata["version"] or info["sha256"] != metadata["sha256"]:
            return False
        now = fingerprint(binary)
        if verified.get(monitor) == (now, metadata["sha256"]):
            return True
        digest = hashlib.sha256()
        with open(binary, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != metadata["sha256"]:
            return False
        verified[monitor] = (now, metadata["sha256"])
        return True
    except (OSError, ValueError, KeyError):
        return False


def download(monitor, binary, info_path, metadata):
    answer = http.request(
        "GET", metadata["downloadUrl"], preload_content=False, headers={"Accept-Encoding": "identity"}
    )
    try:
        if answer.status != 200:
            raise RuntimeError(f"{metadata['downloadUrl']} answered {answer.status}")
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=CACHE_DIR, delete=False) as file:
            for chunk in answer.stream(CHUNK, decode_content=False):
                size += len(chunk)
                if size > metadata["binarySize"]:
                    raise RuntimeError("too long")
                digest.update(chunk)
                file.write(chunk)
        if size != metadata["binarySize"] or digest.hexdigest() != metadata["sha256"]:
            os.unlink(file.name)
            raise RuntimeError("not what the metadata says")
    finally:
        answer.release_conn()
    os.chmod(file.name, 0o500)
    os.rename(file.name, binary)
    now = time.time()
    info = {
        "version": metadata["version"],
        "sha256": metadata["sha256"],
        "binarySize": size,
        "cached_at": now,
        "cache_date": datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    with tempfile.NamedTemporaryFile("w", dir=CACHE_DIR, delete=False) as file:
        json.dump(info, file)
    os.rename(file.name, info_path)
    verified[monitor] = (fingerprint(binary), metadata["sha256"])
    return size


def last_object(stdout):
    for line in reversed(stdout.splitlines()):
        if line.startswith("{") and line.endswith("}"):
            return json.loads(line)
    return None


def handler(event, context):
    monitor = event["monitor"]
    binary = f"{CACHE_DIR}/{PREFIX}-{monitor}-monitor"
    info_path = f"{CACHE_DIR}/{PREFIX}-{monitor}-cache.json"
    began = time.perf_counter()
    metadata = newest(monitor)
    cache, downloaded = "hit", 0
    if not is_cached(monitor, binary, info_path, metadata):
        cache, downloaded = "miss", download(monitor, binary, info_path, metadata)
    ensured = time.perf_counter()
    child = subprocess.run(
        [binary],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "MONITOR_NAME": monitor},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        start_new_session=True,
        check=True,
    )
    finished = time.perf_counter()
    result = {
        "monitor": monitor,
        "version": metadata["version"],
        "cache": cache,
        "downloaded_bytes": downloaded,
        "ensure_ms": (ensured - began) * 1e3,
        "execution_ms": (finished - ensured) * 1e3,
        "exit_code": child.returncode,
        "result": last_object(child.stdout),
    }
    return {"results": [result], "processed": 1, "errors": 0}
