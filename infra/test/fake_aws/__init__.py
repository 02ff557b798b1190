"""A fake AWS on loopback: moto's server, with the two things about Cognito that moto leaves out.

`python -m fake_aws` prints its URL once it listens, and ends when its standard input does.
"""
