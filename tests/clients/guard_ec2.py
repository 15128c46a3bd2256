"""Makes three servers and two users on a moto, then has it check signatures and policies, and says the users' keys.

One user may describe instances, the other one may only stop them.
"""

import json
import sys
import urllib.request

import boto3

url = sys.argv[1]


def client(name):
    return boto3.client(
        name, endpoint_url=url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
    )


def user(iam, name, action):
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]


tags = [{"ResourceType": "instance", "Tags": [{"Key": "App", "Value": "minecraft & more"}]}]
client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=3, MaxCount=3, TagSpecifications=tags)
iam = client("iam")
keys = user(iam, "may", "ec2:DescribeInstances") + user(iam, "may-not", "ec2:StopInstances")
guard = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
urllib.request.urlopen(guard)
print(*keys)
