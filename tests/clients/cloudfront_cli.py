"""AWS's command line against the local CloudFront: its endpoint, an edge's URL, S3's URL, the bucket behind the edge.

E2BX1E7RR7IV8R (releases.watchy.cloud) is served by the edge; E1PLAIN0000000 has no aliases. Invalidations are completed
before they are answered.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request

endpoint, edge, s3_url, bucket = sys.argv[1:]
home = tempfile.TemporaryDirectory()
environment = {
    "PATH": os.environ["PATH"],
    "HOME": home.name,
    "NO_PROXY": "127.0.0.1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_CLOUDFRONT": endpoint,
    "AWS_ENDPOINT_URL_S3": s3_url,
    "AWS_MAX_ATTEMPTS": "1",
}


def run(*arguments, given=None):
    command = [sys.executable, "-m", "awscli", *arguments]
    return subprocess.run(command, env=environment, input=given, capture_output=True, text=True)


def aws(*arguments):
    done = run("cloudfront", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def put(key, text):
    done = run("s3", "cp", "-", f"s3://{bucket}/{key}", given=text)
    assert done.returncode == 0, done.stderr


def get(path):
    with urllib.request.urlopen(edge + path) as response:
        return response.read().decode()


def invalidate(*paths):
    return aws("create-invalidation", "--distribution-id", distribution, "--paths", *paths)["Invalidation"]


for text in ["old", "new"]:
    put("a", text)
    put("b", text)
    assert (get("/a"), get("/b")) == ("old", "old")

# A distribution without aliases has no list of them, on which `contains` alone would fail.
found = aws(
    "list-distributions",
    "--query",
    "DistributionList.Items[?contains(Aliases.Items || `[]`, 'releases.watchy.cloud')].Id",
)
assert found == ["E2BX1E7RR7IV8R"], found
distribution = found[0]

# One string with a comma is one path with a comma: accepted, and nothing is cleared.
one = invalidate("/a,/b")
assert one["InvalidationBatch"]["Paths"] == {"Quantity": 1, "Items": ["/a,/b"]}, one
assert (get("/a"), get("/b")) == ("old", "old")

two = invalidate("/a", "/b")
assert two["InvalidationBatch"]["Paths"] == {"Quantity": 2, "Items": ["/a", "/b"]}, two
assert (get("/a"), get("/b")) == ("new", "new")
again = aws("get-invalidation", "--distribution-id", distribution, "--id", two["Id"])["Invalidation"]
assert again["Status"] == "Completed", again

listed = aws("list-invalidations", "--distribution-id", distribution)["InvalidationList"]["Items"]
assert [one["Id"] for one in listed] == [two["Id"], one["Id"]], listed

refused = run("cloudfront", "create-invalidation", "--distribution-id", distribution, "--paths", "a")
assert refused.returncode != 0 and "(InvalidArgument)" in refused.stderr, refused
print("ok")
