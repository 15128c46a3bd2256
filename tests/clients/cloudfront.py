"""AWS's own client against the local CloudFront: its endpoint, an edge's URL, S3's URL, the bucket behind the edge.

E2BX1E7RR7IV8R (releases.watchy.cloud, with tags) is served by the edge; E1PLAIN0000000 has neither aliases nor tags,
E3STAGING00000 is a staging distribution. Invalidations take half a second; with `progress` as a last argument they take
hours; with `observed` a caller reference that was used is refused.
"""

import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, edge, s3_url, bucket, *rest = sys.argv[1:]
keys = {"region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
once = Config(retries={"max_attempts": 1, "mode": "standard"})
client = boto3.client("cloudfront", endpoint_url=endpoint, config=once, **keys)
s3 = boto3.client("s3", endpoint_url=s3_url, config=Config(s3={"addressing_style": "path"}), **keys)
RELEASES, PLAIN, STAGING = "E2BX1E7RR7IV8R", "E1PLAIN0000000", "E3STAGING00000"


def create(reference, *items, distribution=RELEASES, quantity=None):
    paths = {"Quantity": len(items) if quantity is None else quantity, "Items": list(items)}
    batch = {"Paths": paths, "CallerReference": reference}
    return client.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)


def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        assert metadata["RequestId"], error.response
        return metadata["HTTPStatusCode"], error.response["Error"]["Code"]
    raise AssertionError(f"no error: {arguments} {named}")


def get(path):
    with urllib.request.urlopen(edge + path) as response:
        return response.read().decode()


def listed(distribution):
    pages = client.get_paginator("list_invalidations")
    pages = pages.paginate(DistributionId=distribution, PaginationConfig={"PageSize": 1})
    pages = [page["InvalidationList"] for page in pages]
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False], pages
    return [one for page in pages for one in page["Items"]]


INVALID = (400, "InvalidArgument")
TOO_MANY = (400, "TooManyInvalidationsInProgress")

if rest == ["observed"]:
    create("once", "/a", "/b")
    assert refused(create, "once", "/a", "/b") == INVALID
    assert refused(create, "once", "/c") == INVALID
    print("ok")
    sys.exit()

if rest == ["progress"]:
    # Until it is completed the edge serves what it has.
    s3.put_object(Bucket=bucket, Key="metadata.json", Body="old")
    assert get("/metadata.json") == "old"
    s3.put_object(Bucket=bucket, Key="metadata.json", Body="new")
    made = create("first", "/metadata.json")["Invalidation"]
    assert made["Status"] == "InProgress" and get("/metadata.json") == "old"
    assert client.get_invalidation(DistributionId=RELEASES, Id=made["Id"])["Invalidation"]["Status"] == "InProgress"
    assert client.get_distribution(Id=RELEASES)["Distribution"]["InProgressInvalidationBatches"] == 1

    # A distribution has limits of its own of what is in progress, and apart for wildcards.
    create("many", *[f"/many/{n}" for n in range(3000)], distribution=PLAIN)
    assert refused(create, "one", "/one", distribution=PLAIN) == TOO_MANY
    create("stars", *[f"/many/{n}*" for n in range(15)], distribution=PLAIN)
    assert refused(create, "star", "/star*", distribution=PLAIN) == TOO_MANY
    create("elsewhere", "/one", distribution=STAGING)

    # The newest come first.
    both = listed(PLAIN)
    assert [one["Status"] for one in both] == ["InProgress", "InProgress"], both
    oldest = client.get_invalidation(DistributionId=PLAIN, Id=both[-1]["Id"])["Invalidation"]
    assert oldest["InvalidationBatch"]["CallerReference"] == "many"
    assert len(oldest["InvalidationBatch"]["Paths"]["Items"]) == 3000
    print("ok")
    sys.exit()

# --- distributions ---

pages = client.get_paginator("list_distributions").paginate(PaginationConfig={"PageSize": 1})
pages = [page["DistributionList"] for page in pages]
assert [page["Quantity"] for page in pages] == [1, 1, 1], pages
summaries = {summary["Id"]: summary for page in pages for summary in page["Items"]}
assert set(summaries) == {RELEASES, PLAIN, STAGING}
summary = summaries[RELEASES]
assert summary["Aliases"] == {"Quantity": 1, "Items": ["releases.watchy.cloud"]}, summary
assert summary["ARN"] == f"arn:aws:cloudfront::123456789012:distribution/{RELEASES}"
assert summary["Origins"]["Items"][0]["DomainName"] == f"{bucket}.s3.us-east-1.amazonaws.com"
assert summary["Origins"]["Items"][0]["OriginPath"] == ""
assert summaries[PLAIN]["Aliases"] == {"Quantity": 0}, "AWS leaves the list out, too"
assert summaries[STAGING]["Staging"] and not summary["Staging"]
members = client.meta.service_model.shape_for("DistributionSummary").required_members
assert all(set(members) <= set(summary) for summary in summaries.values())

got = client.get_distribution(Id=RELEASES)
assert got["ETag"] and got["Distribution"]["DomainName"].endswith(".cloudfront.net")
config = got["Distribution"]["DistributionConfig"]
assert config["CacheTagConfig"] == {"HeaderName": "x-amz-meta-cache-tag"}, config
assert "CacheTagConfig" not in client.get_distribution(Id=PLAIN)["Distribution"]["DistributionConfig"]
for shape, there in [("Distribution", got["Distribution"]), ("DistributionConfig", config)]:
    assert set(client.meta.service_model.shape_for(shape).required_members) <= set(there), shape
assert refused(client.get_distribution, Id="E0") == (404, "NoSuchDistribution")
assert refused(client.list_distributions, Marker="E0") == INVALID
assert refused(client.list_distributions, MaxItems="none") == INVALID

# --- from InProgress to Completed ---

for text in ["old", "new"]:
    s3.put_object(Bucket=bucket, Key="metadata.json", Body=text)
    s3.put_object(Bucket=bucket, Key="it's ~ é.txt", Body=text, Metadata={"cache-tag": "One,two"})
    assert get("/metadata.json") == "old" and get("/it's%20~%20%C3%A9.txt") == "old"
made = create("first", "/metadata.json")
invalidation = made["Invalidation"]
assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
assert made["Location"].endswith(f"/2020-05-31/distribution/{RELEASES}/invalidation/{invalidation['Id']}"), made
assert invalidation["Status"] == "InProgress"
waiter = client.get_waiter("invalidation_completed")
waiter.config.delay = 0.2
waiter.wait(DistributionId=RELEASES, Id=invalidation["Id"])
assert get("/metadata.json") == "new"
assert create("first", "/metadata.json")["Invalidation"]["Id"] == invalidation["Id"], "a reference stands for one batch"
assert refused(create, "first", "/other") == INVALID


def clears(item):
    """Whether an item clears the object with the awkward name, which is put back afterwards."""
    text = get("/it's%20~%20%C3%A9.txt")
    s3.put_object(Bucket=bucket, Key="it's ~ é.txt", Body=text + "+", Metadata={"cache-tag": "One,two"})
    made = create(f"clears {item} {text}", item)
    waiter.wait(DistributionId=RELEASES, Id=made["Invalidation"]["Id"])
    return get("/it's%20~%20%C3%A9.txt") != text


assert not clears("/it%27s%20%7e%20%C3%A9.txt"), "digits in lower case"
assert not clears("/it%27s%20%7E%20%C3%A9%2Etxt"), "encoded beyond need"
assert not clears("/metadata.json,/it%27s%20%7E%20%C3%A9.txt"), "two in one"
assert clears("/it%27s%20%7E%20%C3%A9.txt")
assert clears("#ONE")
assert clears("/it*")

# --- what is refused ---

for wrong in ["metadata.json", "/a b", "/~", "/é", "/*/a", "/%", "/it's", "#a,b", "#a*", "/" + 4000 * "a"]:
    assert refused(create, f"wrong {wrong}", wrong) == INVALID, wrong
assert refused(create, "tag", "#slack", distribution=PLAIN) == INVALID
assert refused(create, "quantity", "/a", quantity=2) == (400, "InconsistentQuantities")
assert refused(create, "none") == INVALID
assert refused(create, "x", "/a", distribution="E0") == (404, "NoSuchDistribution")
assert refused(create, "large", *[f"/{n}" for n in range(3001)]) == (413, "BatchTooLarge")
assert refused(client.get_invalidation, DistributionId=RELEASES, Id="I0") == (404, "NoSuchInvalidation")
assert refused(client.get_invalidation, DistributionId="E0", Id="I0") == (404, "NoSuchDistribution")
assert refused(client.list_invalidations, DistributionId="E0") == (404, "NoSuchDistribution")

# --- all that there were, of which none that was refused is one ---

done = listed(RELEASES)
assert done[-1]["Id"] == invalidation["Id"] and {one["Status"] for one in done} == {"Completed"}, done
assert len(done) == 7, done
print("ok")
