"""AWS's own client against the local CloudTrail: the endpoint; 120 stops of i-0000000a, one an hour, up to now."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(retries):
    return boto3.client(
        "cloudtrail",
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"mode": "standard", "max_attempts": retries}),
    )


patient, hasty = client(10), client(1)


def code_of(**request):
    # Twice a second: this is no test of patience.
    time.sleep(0.6)
    try:
        hasty.lookup_events(**request)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def by(key, value):
    return [{"AttributeKey": key, "AttributeValue": value}]


pages = list(patient.get_paginator("lookup_events").paginate(LookupAttributes=by("EventName", "StopInstances")))
assert [len(page["Events"]) for page in pages] == [50, 50, 20], pages
events = [event for page in pages for event in page["Events"]]
times = [event["EventTime"] for event in events]
assert times == sorted(times, reverse=True), "newest first"
assert len({event["EventId"] for event in events}) == 120
assert events[0]["Resources"] == [{"ResourceType": "AWS::EC2::Instance", "ResourceName": "i-0000000a"}], events[0]

now = datetime.now(timezone.utc)
few = patient.lookup_events(
    LookupAttributes=by("ResourceName", "i-0000000a"), StartTime=now - timedelta(hours=3.5), EndTime=now, MaxResults=2
)
assert len(few["Events"]) == 2 and few["NextToken"], few
assert patient.lookup_events(LookupAttributes=by("EventName", "RunInstances"))["Events"] == []

both = by("EventName", "StopInstances") + by("ReadOnly", "false")
assert code_of(LookupAttributes=both) == "InvalidLookupAttributesException"
assert code_of(StartTime=now, EndTime=now - timedelta(hours=1)) == "InvalidTimeRangeException"
assert code_of(MaxResults=2, NextToken=few["NextToken"]) == "InvalidNextTokenException"


def hurried(_):
    try:
        hasty.lookup_events()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


# All at once, and again where the machine was too busy for that.
with ThreadPoolExecutor(8) as pool:
    rounds = (set(pool.map(hurried, range(8))) for _ in range(20))
    assert any(("ThrottlingException", "Rate exceeded") in answers for answers in rounds), "more than two a second"
print("ok")
