"""Makes what cdn-invalidator works on in a moto, then has it check policies as guard_reports.py does.

The address, the policy, and the names of bucket, table and queue. Says the queue's address before the keys. There is no CloudFront:
moto takes no signature of its requests for right, not even boto3's.
"""

import runpy
import sys
from pathlib import Path

import boto3

url, policy, bucket, table, queue = sys.argv[1:]
made = {"endpoint_url": url, "region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
boto3.client("s3", **made).create_bucket(Bucket=bucket)
keys = [("pk", "HASH"), ("sk", "RANGE")]
boto3.client("dynamodb", **made).create_table(
    TableName=table,
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
    KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
)
address = boto3.client("sqs", **made).create_queue(QueueName=queue)["QueueUrl"]
print(address)
sys.argv = ["guard_reports.py", url, policy]
runpy.run_path(str(Path(__file__).with_name("guard_reports.py")), run_name="__main__")
