"""Makes two users on a moto, then has it check signatures and policies, and says the users' keys.

One user may what the policy in the first argument after the address says, the other one nothing.
"""

import sys
import urllib.request

import boto3

url, policy = sys.argv[1:]
iam = boto3.client(
    "iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
)
nothing = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'
for name, document in [("function", policy), ("nobody", nothing)]:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    print(key["AccessKeyId"], key["SecretAccessKey"])
guard = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
urllib.request.urlopen(guard)
