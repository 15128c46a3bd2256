"""AWS's own client reads an invalidation back: the endpoint, the distribution, the invalidation."""

import json
import sys

import boto3

url, distribution, invalidation = sys.argv[1:]
client = boto3.client(
    "cloudfront", endpoint_url=url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
)
found = client.get_invalidation(DistributionId=distribution, Id=invalidation)["Invalidation"]
paths = found["InvalidationBatch"]["Paths"]
assert paths["Quantity"] == len(paths["Items"]), paths
listed = client.get_paginator("list_invalidations").paginate(DistributionId=distribution).build_full_result()
summaries = {item["Id"]: item["Status"] for item in listed["InvalidationList"]["Items"]}
assert summaries[invalidation] == found["Status"], summaries
print(json.dumps({"status": found["Status"], "paths": sorted(paths["Items"])}))
