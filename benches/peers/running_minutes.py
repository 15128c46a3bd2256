"""The cached read of running minutes in Python on the Lambda Python runtime client, for comparison.

The same flow with the same care, as a good Python developer would write it: one low-level client, made once, whose connection is kept; a
projection; a value of this month only; an age limit; one line in the log.
"""

import json
import os
import re
from datetime import datetime, timezone

import boto3
from botocore.config import Config

TABLE = os.environ.get("SERVERS_TABLE", "servers")
INSTANCE = re.compile(r"^i-[0-9a-f]{8,17}$")
MAX_AGE = os.environ.get("RUNTIME_CACHE_MAX_AGE_HOURS")

dynamodb = boto3.client("dynamodb", config=Config(tcp_keepalive=True, connect_timeout=1, read_timeout=5))


def handler(event, context):
    instance = event["instance_id"]
    if not INSTANCE.match(instance):
        raise ValueError(f"{instance!r} is not an instance's id")
    answer = dynamodb.get_item(
        TableName=TABLE,
        Key={"id": {"S": instance}},
        ProjectionExpression="runningMinutesCache, runningMinutesCacheTimestamp",
    )
    item = answer["Item"]
    minutes = float(item["runningMinutesCache"]["N"])
    timestamp = item["runningMinutesCacheTimestamp"]["S"]
    at, now = datetime.fromisoformat(timestamp), datetime.now(timezone.utc)
    hours = (now - at).total_seconds() / 3600
    if (at.year, at.month) != (now.year, now.month) or (MAX_AGE and hours > float(MAX_AGE)):
        raise RuntimeError("not cached")
    print(json.dumps({"message": f"Using cached value for {instance}: {minutes:.2f} minutes (age: {hours:.1f} hours)"}))
    return {"instance_id": instance, "state": None, "minutes": minutes, "timestamp": timestamp, "source": "cache"}
