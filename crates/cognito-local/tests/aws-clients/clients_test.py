"""boto3 and pycognito, from sign-up to sign-out. COGNITO_URL is the address of a pool with the configuration pool.toml."""

import base64
import datetime
import hashlib
import hmac
import os
import re
import unittest
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from pycognito import Cognito
from pycognito.aws_srp import AWSSRP
from pycognito.exceptions import ForceChangePasswordException

URL = os.environ["COGNITO_URL"]
POOL = "us-east-1_LocalPool"
SECRET = "the-secret-of-the-confidential-client"
PASSWORD = "Wonder-länd1"
OTHER = "Looking-glass2"


def client(**options):
    return boto3.client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=URL,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"max_attempts": 1}, **options),
    )


SIGNED = client()
UNSIGNED_CLIENT = client(signature_version=UNSIGNED)
ERRORS = SIGNED.exceptions


def mailed_code(username):
    """Returns the newest code for a user."""
    page = urllib.request.urlopen(f"{URL}/mailbox").read().decode()
    return re.search(rf"{username}\b[^<]*is <code class=\"key\">([^<]+)", page).group(1)


def secret_hash(username):
    digest = hmac.new(SECRET.encode(), f"{username}confidential".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def create(username, password=PASSWORD):
    """Creates a user with a permanent password."""
    attributes = [{"Name": "email", "Value": f"{username}@example.com"}, {"Name": "email_verified", "Value": "true"}]
    SIGNED.admin_create_user(
        UserPoolId=POOL, Username=username, UserAttributes=attributes, MessageAction="SUPPRESS"
    )
    SIGNED.admin_set_user_password(UserPoolId=POOL, Username=username, Password=password, Permanent=True)


def sign_in(username, password=PASSWORD, client_id="public", **parameters):
    return UNSIGNED_CLIENT.initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password, **parameters},
    )


class Boto3(unittest.TestCase):
    def test_sign_up_to_global_sign_out(self):
        signed_up = UNSIGNED_CLIENT.sign_up(
            ClientId="public",
            Username="dora",
            Password=PASSWORD,
            UserAttributes=[{"Name": "email", "Value": "dora@example.com"}],
        )
        self.assertFalse(signed_up["UserConfirmed"])
        with self.assertRaises(ERRORS.UserNotConfirmedException):
            sign_in("dora")
        with self.assertRaises(ERRORS.CodeMismatchException):
            UNSIGNED_CLIENT.confirm_sign_up(ClientId="public", Username="dora", ConfirmationCode="abc")
        UNSIGNED_CLIENT.confirm_sign_up(ClientId="public", Username="dora", ConfirmationCode=mailed_code("dora"))
        with self.assertRaises(ERRORS.UsernameExistsException):
            UNSIGNED_CLIENT.sign_up(ClientId="public", Username="Dora", Password=PASSWORD)

        tokens = sign_in("dora")["AuthenticationResult"]
        user = UNSIGNED_CLIENT.get_user(AccessToken=tokens["AccessToken"])
        self.assertEqual(user["Username"], "dora")
        refreshed = UNSIGNED_CLIENT.initiate_auth(
            ClientId="public",
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": tokens["RefreshToken"]},
        )["AuthenticationResult"]
        self.assertNotIn("RefreshToken", refreshed)
        UNSIGNED_CLIENT.global_sign_out(AccessToken=refreshed["AccessToken"])
        for token in (tokens["AccessToken"], refreshed["AccessToken"]):
            with self.assertRaises(ERRORS.NotAuthorizedException):
                UNSIGNED_CLIENT.get_user(AccessToken=token)
        with self.assertRaises(ERRORS.NotAuthorizedException):
            UNSIGNED_CLIENT.get_tokens_from_refresh_token(ClientId="public", RefreshToken=tokens["RefreshToken"])

    def test_replayed_refresh_token_ends_the_sign_in(self):
        create("emil")
        first = sign_in("emil", client_id="rotating")["AuthenticationResult"]["RefreshToken"]
        refresh = UNSIGNED_CLIENT.get_tokens_from_refresh_token
        second = refresh(ClientId="rotating", RefreshToken=first)["AuthenticationResult"]["RefreshToken"]
        with self.assertRaises(ERRORS.RefreshTokenReuseException):
            refresh(ClientId="rotating", RefreshToken=first)
        with self.assertRaises(ERRORS.NotAuthorizedException):
            refresh(ClientId="rotating", RefreshToken=second)

    def test_revoked_token_and_disabled_user_get_nothing(self):
        create("frida")
        tokens = sign_in("frida")["AuthenticationResult"]
        UNSIGNED_CLIENT.revoke_token(ClientId="public", Token=tokens["RefreshToken"])
        with self.assertRaises(ERRORS.NotAuthorizedException):
            UNSIGNED_CLIENT.get_user(AccessToken=tokens["AccessToken"])
        SIGNED.admin_disable_user(UserPoolId=POOL, Username="frida")
        with self.assertRaisesRegex(ERRORS.NotAuthorizedException, "User is disabled."):
            sign_in("frida")

    def test_wrong_secret_hash_gets_nothing(self):
        create("gustav")
        for wrong in ({}, {"SECRET_HASH": secret_hash("dora")}, {"SECRET_HASH": "x"}):
            with self.assertRaises(ERRORS.NotAuthorizedException):
                sign_in("gustav", client_id="confidential", **wrong)
        sign_in("gustav", client_id="confidential", SECRET_HASH=secret_hash("gustav"))

    def test_mailed_code_signs_in(self):
        create("hanna")
        challenge = UNSIGNED_CLIENT.initiate_auth(
            ClientId="public",
            AuthFlow="USER_AUTH",
            AuthParameters={"USERNAME": "hanna", "PREFERRED_CHALLENGE": "EMAIL_OTP"},
        )
        answer = {
            "ClientId": "public",
            "ChallengeName": "EMAIL_OTP",
            "Session": challenge["Session"],
            "ChallengeResponses": {"USERNAME": "hanna", "EMAIL_OTP_CODE": mailed_code("hanna")},
        }
        UNSIGNED_CLIENT.respond_to_auth_challenge(**answer)
        with self.assertRaises(ERRORS.NotAuthorizedException):
            UNSIGNED_CLIENT.respond_to_auth_challenge(**answer)

    def test_administration(self):
        for number in range(3):
            create(f"ida{number}")
        pages = SIGNED.get_paginator("list_users").paginate(
            UserPoolId=POOL, Filter='username ^= "ida"', PaginationConfig={"PageSize": 2}
        )
        users = [user for page in pages for user in page["Users"]]
        self.assertEqual([user["Username"] for user in users], ["ida0", "ida1", "ida2"])
        self.assertIsInstance(users[0]["UserCreateDate"], datetime.datetime)
        SIGNED.admin_add_user_to_group(UserPoolId=POOL, Username="ida0", GroupName="editors")
        members = SIGNED.list_users_in_group(UserPoolId=POOL, GroupName="editors")["Users"]
        self.assertEqual([user["Username"] for user in members], ["ida0"])
        with self.assertRaises(ERRORS.GroupExistsException):
            SIGNED.create_group(UserPoolId=POOL, GroupName="editors")
        described = SIGNED.describe_user_pool(UserPoolId=POOL)["UserPool"]
        self.assertEqual(described["Policies"]["PasswordPolicy"]["MinimumLength"], 8)
        SIGNED.admin_delete_user(UserPoolId=POOL, Username="ida2")
        with self.assertRaises(ERRORS.UserNotFoundException):
            SIGNED.admin_get_user(UserPoolId=POOL, Username="ida2")


def srp(username, password=PASSWORD, client_id="public", **options):
    return AWSSRP(
        username=username,
        password=password,
        pool_id=POOL,
        client_id=client_id,
        client=UNSIGNED_CLIENT,
        **options,
    )


class Pycognito(unittest.TestCase):
    def test_right_and_wrong_passwords(self):
        create("jonas")
        # Often enough for public values and shared secrets with leading zeros.
        for _ in range(20):
            self.assertIn("AccessToken", srp("jonas").authenticate_user()["AuthenticationResult"])
        self.assertIn("AccessToken", srp("jonas@example.com").authenticate_user()["AuthenticationResult"])
        with self.assertRaises(ERRORS.NotAuthorizedException):
            srp("jonas", OTHER).authenticate_user()
        with self.assertRaises(ERRORS.NotAuthorizedException):
            srp("nobody").authenticate_user()

    def test_confidential_client(self):
        create("klara")
        srp("klara", client_id="confidential", client_secret=SECRET).authenticate_user()
        with self.assertRaises(ERRORS.NotAuthorizedException):
            srp("klara", client_id="confidential", client_secret="another").authenticate_user()

    def test_new_password(self):
        SIGNED.admin_create_user(
            UserPoolId=POOL, Username="lena", TemporaryPassword=PASSWORD, MessageAction="SUPPRESS"
        )
        with self.assertRaises(ForceChangePasswordException):
            srp("lena").authenticate_user()
        tokens = srp("lena").set_new_password_challenge(OTHER)
        self.assertIn("AccessToken", tokens["AuthenticationResult"])
        srp("lena", OTHER).authenticate_user()

    def test_high_level_client(self):
        create("marie")
        cognito = Cognito(
            POOL,
            "public",
            username="marie",
            user_pool_region="us-east-1",
            access_key="any",
            secret_key="any",
            boto3_client_kwargs={"endpoint_url": URL},
        )
        cognito.authenticate(password=PASSWORD)
        self.assertEqual(cognito.get_user().email, "marie@example.com")
        cognito.change_password(PASSWORD, OTHER)
        cognito.renew_access_token()
        cognito.initiate_forgot_password()
        cognito.confirm_forgot_password(mailed_code("marie"), PASSWORD)
        srp("marie").authenticate_user()


if __name__ == "__main__":
    unittest.main()
