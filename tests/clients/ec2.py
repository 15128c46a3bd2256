"""AWS's own client against the local EC2: the endpoint; thirty servers, of which i-00000001 was stopped."""

import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client(
    "ec2", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
)


def instances(**request):
    pages = client.get_paginator("describe_instances").paginate(**request)
    return [instance for page in pages for of in page["Reservations"] for instance in of["Instances"]]


def tagged(name, *values):
    return [{"Name": name, "Values": list(values)}]


assert len(instances(PaginationConfig={"PageSize": 7})) == 30
assert len(instances(Filters=tagged("tag:App", "mine*"))) == 30
assert instances(Filters=tagged("tag:App", "other")) == []
assert len(instances(Filters=tagged("tag-key", "App") + tagged("instance-state-name", "stopped"))) == 1

stopped = instances(InstanceIds=["i-00000001"])[0]
assert stopped["State"] == {"Code": 80, "Name": "stopped"}, stopped
assert stopped["StateTransitionReason"] == "User initiated (2026-11-20 10:00:00 GMT)", stopped
assert stopped["LaunchTime"].isoformat() == "2026-11-20T08:00:00+00:00", stopped
assert {"Key": "App", "Value": "minecraft"} in stopped["Tags"]

try:
    instances(InstanceIds=["i-99999999"])
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidInstanceID.NotFound", error
else:
    raise AssertionError("no error")
print("ok")
