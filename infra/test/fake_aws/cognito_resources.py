"""Cognito's CloudFormation types, of which moto knows none.

Each resource is created by the API call that CloudFormation makes for it, so that botocore holds the template's properties
against the service's own model.
"""

from moto.core.common_models import CloudFormationModel

from . import client


def cognito():
    return client("cognito-idp")


class Resource:
    """A resource as CloudFormation keeps it: what `Ref` and `Fn::GetAtt` give. moto looks for direct subclasses of its model."""

    def __init__(self, ref, attributes=None):
        self.physical_resource_id = ref
        self.attributes = attributes or {}

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr in ("Arn", "ProviderName", "ProviderURL", "ClientId", "UserPoolId", "CloudFrontDistribution")

    def get_cfn_attribute(self, name):
        return self.attributes[name]

    @classmethod
    def create_from_cloudformation_json(cls, name, template, account_id, region, **kwargs):
        return cls.create(name, template["Properties"])


class UserPool(Resource, CloudFormationModel):
    @staticmethod
    def cloudformation_type():
        return "AWS::Cognito::UserPool"

    @classmethod
    def create(cls, name, properties):
        factors = properties.pop("EnabledMfas", [])
        mode = properties.pop("MfaConfiguration")
        pool = cognito().create_user_pool(PoolName=name, **properties)["UserPool"]
        cognito().set_user_pool_mfa_config(
            UserPoolId=pool["Id"],
            MfaConfiguration=mode,
            SoftwareTokenMfaConfiguration={"Enabled": "SOFTWARE_TOKEN_MFA" in factors},
        )
        return cls(pool["Id"], {"Arn": pool["Arn"]})


class UserPoolDomain(Resource, CloudFormationModel):
    @staticmethod
    def cloudformation_type():
        return "AWS::Cognito::UserPoolDomain"

    @classmethod
    def create(cls, name, properties):
        cognito().create_user_pool_domain(**properties)
        return cls(properties["Domain"])


class UserPoolResourceServer(Resource, CloudFormationModel):
    @staticmethod
    def cloudformation_type():
        return "AWS::Cognito::UserPoolResourceServer"

    @classmethod
    def create(cls, name, properties):
        cognito().create_resource_server(**properties)
        return cls(properties["Identifier"])


class UserPoolClient(Resource, CloudFormationModel):
    @staticmethod
    def cloudformation_type():
        return "AWS::Cognito::UserPoolClient"

    @classmethod
    def create(cls, name, properties):
        client = cognito().create_user_pool_client(ClientName=name, **properties)["UserPoolClient"]
        return cls(client["ClientId"], {"ClientId": client["ClientId"]})


class UserPoolGroup(Resource, CloudFormationModel):
    @staticmethod
    def cloudformation_type():
        return "AWS::Cognito::UserPoolGroup"

    @classmethod
    def create(cls, name, properties):
        cognito().create_group(**properties)
        return cls(properties["GroupName"])
