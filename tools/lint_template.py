"""Turns template.yaml into the CloudFormation that SAM makes of it, on standard output, for cfn-lint.

cfn-lint checks a SAM template by SAM's schema alone: a timeout of 3,000 s or an authorisation type that does not exist
passes. What SAM makes of the template is checked by CloudFormation's own schema.
"""

import json
import os
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """The template names no managed policy, so none has to be looked up in IAM."""

    def load(self):
        return {}


def main(path):
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # The code lies on this machine, and the transform wants to see it in a bucket.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1)


main(sys.argv[1])
