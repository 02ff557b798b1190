"""What the usual FastAPI + Cognito sample does, for the routes that are compared: the same answers from the same rows.

    uvicorn main:app

It is given the backend's own variables. Where samples differ, this takes the faster way: keys are fetched and parsed once,
the boto3 resource is made once, nothing blocks the event loop, and the loop is uvloop. `GET /samples/users/me` is `GET /users/me`
as most samples write it: with plain `def`, which FastAPI gives to a thread, and with keys as they were fetched, which python-jose parses
for each token. Most of them also install plain `uvicorn`: `uvicorn --loop asyncio --http h11 main:app`.
"""

import os
import threading
import uuid
from datetime import UTC, datetime
from typing import Annotated

import boto3
import requests
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from fastapi import Depends, FastAPI, HTTPException, Query, Response, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import JWTError, jwk, jwt
from pydantic import BaseModel, ConfigDict, Field

USER_POOL_ID = os.environ["COGNITO_USER_POOL_ID"]
APP_CLIENT_ID = os.environ["COGNITO_APP_CLIENT_ID"]
ISSUER = os.environ["COGNITO_ISSUER"]

app = FastAPI()
bearer = HTTPBearer(auto_error=False)
fetched_keys = {key["kid"]: key for key in requests.get(os.environ["COGNITO_JWKS_URL"], timeout=3).json()["keys"]}
keys = {kid: jwk.construct(key, "RS256") for kid, key in fetched_keys.items()}
# A connection for each of the threads that FastAPI runs blocking handlers in.
dynamodb = boto3.resource("dynamodb", config=Config(max_pool_connections=40))
table = dynamodb.Table(os.environ["DYNAMODB_TABLE_NAME"])

dynamodb_calls = 0
counting = threading.Lock()


def count_call(**_):
    global dynamodb_calls
    with counting:
        dynamodb_calls += 1


dynamodb.meta.client.meta.events.register("before-send.dynamodb", count_call)


class User(BaseModel):
    sub: str
    username: str
    user_pool_id: str
    client_id: str
    groups: list[str]
    scopes: list[str]
    expires_at: datetime

    @property
    def partition_key(self) -> str:
        return f"USER#{self.user_pool_id}#{self.sub}"


class NewItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=4000)


class Item(BaseModel):
    id: str
    title: str
    description: str | None = None
    version: int
    created_at: str
    updated_at: str


class ItemPage(BaseModel):
    items: list[Item]
    next_cursor: str | None = None


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


async def current_user(credentials: Credentials) -> User:
    return verify(credentials, keys)


def current_user_as_in_samples(credentials: Credentials) -> User:
    return verify(credentials, fetched_keys)


def verify(credentials: HTTPAuthorizationCredentials | None, keys: dict) -> User:
    challenge = {"WWW-Authenticate": "Bearer"}
    if credentials is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Not authenticated", challenge)
    token = credentials.credentials
    try:
        key = keys.get(jwt.get_unverified_header(token)["kid"])
        if key is None:
            raise JWTError("unknown key")
        claims = jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER, options={"verify_aud": False})
    except (JWTError, KeyError) as error:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Invalid token", challenge) from error
    if claims.get("token_use") != "access" or claims.get("client_id") != APP_CLIENT_ID:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Invalid token", challenge)
    return User(
        sub=claims["sub"],
        username=claims["username"],
        user_pool_id=USER_POOL_ID,
        client_id=claims["client_id"],
        groups=claims.get("cognito:groups", []),
        scopes=claims.get("scope", "").split(),
        expires_at=claims["exp"],
    )


def scope(name: str):
    async def check(user: Annotated[User, Depends(current_user)]) -> User:
        if name not in user.scopes:
            raise HTTPException(status.HTTP_403_FORBIDDEN, "Not enough permissions")
        return user

    return check


Reader = Annotated[User, Depends(scope("items/read"))]
Writer = Annotated[User, Depends(scope("items/write"))]


@app.get("/health/live")
async def live():
    return {"status": "ok"}


@app.get("/users/me")
async def show_current_user(user: Annotated[User, Depends(current_user)]) -> User:
    return user


@app.get("/samples/users/me")
def show_current_user_as_in_samples(user: Annotated[User, Depends(current_user_as_in_samples)]) -> User:
    return user


@app.get("/items/{item_id}")
def show_item(item_id: uuid.UUID, user: Reader, response: Response) -> Item:
    key = {"pk": user.partition_key, "sk": f"ITEM#{item_id}"}
    row = table.get_item(Key=key, ConsistentRead=True).get("Item")
    if row is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Item not found")
    response.headers["ETag"] = f'"{row["version"]}"'
    return item_of(row)


@app.get("/items")
def list_items(user: Reader, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> ItemPage:
    # One more than asked for tells whether there is a next page, as in the backend.
    rows = table.query(
        KeyConditionExpression=Key("pk").eq(user.partition_key) & Key("sk").begins_with("ITEM#"),
        ScanIndexForward=False,
        ConsistentRead=True,
        Limit=limit + 1,
    )["Items"]
    next_cursor = rows[limit - 1]["sk"] if len(rows) > limit else None
    return ItemPage(items=[item_of(row) for row in rows[:limit]], next_cursor=next_cursor)


@app.post("/items", status_code=status.HTTP_201_CREATED)
def create_item(new: NewItem, user: Writer, response: Response) -> Item:
    now = datetime.now(UTC).isoformat()
    item = Item(id=str(uuid.uuid4()), version=1, created_at=now, updated_at=now, **new.model_dump())
    row = {"pk": user.partition_key, "sk": f"ITEM#{item.id}", **item.model_dump(exclude={"id"}, exclude_none=True)}
    table.put_item(Item=row, ConditionExpression="attribute_not_exists(pk)")
    response.headers["Location"] = f"/items/{item.id}"
    response.headers["ETag"] = '"1"'
    return item


@app.get("/calls", include_in_schema=False)
async def show_dynamodb_calls() -> int:
    return dynamodb_calls


def item_of(row: dict) -> Item:
    return Item(id=row["sk"].removeprefix("ITEM#"), **{name: row[name] for name in row.keys() & Item.model_fields.keys()})
