"""AWS's own client against the local Invoke API: the endpoint, with functions `obedient` and none other."""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "lambda",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
    config=Config(retries={"max_attempts": 1}),
)


def invoke(event, **more):
    return client.invoke(FunctionName=more.pop("name", "obedient"), Payload=json.dumps(event), **more)


def code_of(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError("no error")


answer = invoke({"echo": {"a": [1, None]}})
assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
assert "FunctionError" not in answer, answer
assert json.load(answer["Payload"]) == {"a": [1, None]}

arn = "arn:aws:lambda:us-east-1:123456789012:function:obedient"
for name in (arn, "obedient:$LATEST", "123456789012:function:obedient"):
    assert json.load(invoke({"echo": 1}, name=name)["Payload"]) == 1, name

failed = invoke({"fail": "no such thing"})
assert failed["StatusCode"] == 200 and failed["FunctionError"] == "Unhandled", failed
assert json.load(failed["Payload"]) == {"errorType": "Upstream", "errorMessage": "no such thing"}

assert invoke({"echo": 1}, InvocationType="Event")["StatusCode"] == 202
assert invoke({"echo": 1}, InvocationType="DryRun")["StatusCode"] == 204

assert code_of(lambda: invoke({}, name="missing")) == "ResourceNotFoundException"
assert code_of(lambda: client.invoke(FunctionName="obedient", Payload=b"{")) == "InvalidRequestContentException"
assert code_of(lambda: invoke("x" * 7_000_000)) == "RequestTooLargeException"
print("ok")
