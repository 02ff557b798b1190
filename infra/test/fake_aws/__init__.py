"""A fake AWS on loopback: moto's server, with the two things about Cognito that moto leaves out.

`python -m fake_aws` prints its URL once it listens, and ends when its standard input does.
"""

import os

import boto3

ACCOUNT = "123456789012"
REGION = "us-east-1"


def client(service):
    """A client of the fake AWS itself."""
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=os.environ["FAKE_AWS_URL"],
        aws_access_key_id="fake",
        aws_secret_access_key="fake",
    )
