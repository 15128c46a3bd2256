"""The same flow in Python: find the distribution by its alias once, invalidate a release, count the month; by boto3."""

import hashlib
import os
from datetime import UTC, datetime

import boto3

cloudfront = boto3.client("cloudfront")
dynamodb = boto3.client("dynamodb")
TABLE = os.environ["INVALIDATIONS_TABLE"]
DOMAIN = os.environ.get("RELEASES_DOMAIN", "releases.watchy.cloud")
known = {}


def distribution(domain):
    if domain not in known:
        for page in cloudfront.get_paginator("list_distributions").paginate():
            for item in page["DistributionList"].get("Items", []):
                if domain in item["Aliases"].get("Items", []):
                    known[domain] = item["Id"]
    return known[domain]


def handler(event, _context):
    monitor, version = event["monitor"], event["version"]
    folder = f"/binaries/{monitor}-monitor"
    paths = sorted([f"{folder}/metadata.json", f"{folder}/watchy-{monitor}-monitor-latest"])
    where = distribution(DOMAIN)
    reference = hashlib.sha256("\n".join([where, *paths, version]).encode()).hexdigest()
    made = cloudfront.create_invalidation(
        DistributionId=where,
        InvalidationBatch={"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": reference},
    )["Invalidation"]
    month = datetime.now(UTC).strftime("%Y-%m")
    created = made["CreateTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": {
                        "pk": {"S": where},
                        "sk": {"S": f"{created}#{made['Id']}"},
                        "paths": {"N": str(len(paths))},
                    },
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            {
                "Update": {
                    "TableName": TABLE,
                    "Key": {"pk": {"S": "month"}, "sk": {"S": month}},
                    "UpdateExpression": "ADD paths :items",
                    "ExpressionAttributeValues": {":items": {"N": str(len(paths))}},
                }
            },
        ]
    )
    item = dynamodb.get_item(
        TableName=TABLE, Key={"pk": {"S": "month"}, "sk": {"S": month}}, ConsistentRead=True
    )["Item"]
    return {
        "status": "completed" if made["Status"] == "Completed" else "submitted",
        "distribution_id": where,
        "invalidation_id": made["Id"],
        "paths": paths,
        "billable_paths": len(paths),
        "month_billable_paths": int(item["paths"]["N"]),
    }
