"""The managed login, which moto has not: what the deployed clients allow, with tokens that moto's pool signs."""

import base64
import hashlib
import json
import secrets
import threading
import time
from urllib.parse import urlencode

from joserfc import jwt
from moto.cognitoidp.models import cognitoidp_backends
from werkzeug.wrappers import Request, Response

from . import ACCOUNT, REGION


class ManagedLogin:
    """The authorization server's endpoints of the deployed domain, before moto's."""

    def __init__(self, moto):
        self.moto = moto
        self.codes = {}
        self.table_lock = threading.Lock()

    def __call__(self, environ, start_response):
        endpoint = {"/oauth2/authorize": self.authorize, "/oauth2/token": self.token}.get(environ["PATH_INFO"])
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            # moto looks at a condition and writes without a lock between them.
            with self.table_lock:
                return self.moto(environ, start_response)
        if endpoint is None:
            return self.moto(environ, start_response)
        return endpoint(Request(environ))(environ, start_response)

    def authorize(self, request):
        """The form of the sign-in page, sent with the parameters of the page."""
        asked = request.args
        pool, client = find_client(asked["client_id"])
        config = client.extended_config
        if asked["redirect_uri"] not in config["CallbackURLs"]:
            return Response("redirect_mismatch", 400)
        user = pool._get_user(request.form["username"])
        if user is None or user.password != request.form["password"] or user.status != "CONFIRMED":
            return Response("Incorrect username or password.", 200)
        answer = {"state": asked["state"]}
        if not config["AllowedOAuthFlowsUserPoolClient"] or "code" not in config["AllowedOAuthFlows"]:
            answer["error"] = "unauthorized_client"
        elif not set(asked["scope"].split()) <= set(config["AllowedOAuthScopes"]):
            answer["error"] = "invalid_scope"
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self.codes[answer["code"]] = (request.form["username"], asked)
        return Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    def token(self, request):
        if request.form["grant_type"] == "client_credentials":
            return self.machine_token(request)
        username, asked = self.codes.pop(request.form.get("code"), (None, None))
        challenge = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        proven = asked and base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() == asked["code_challenge"]
        if not proven or any(request.form[name] != asked[name] for name in ("client_id", "redirect_uri")):
            return answer({"error": "invalid_grant"}, 400)
        pool, client = find_client(asked["client_id"])
        claims = {"scope": asked["scope"], "version": 2, "origin_jti": secrets.token_hex(16)}
        user = pool._get_user(username)
        if user.groups:
            claims["cognito:groups"] = [group.group_name for group in user.groups]
        return token_answer(pool.create_jwt(client.id, username, "access", extra_data=claims)[0])

    def machine_token(self, request):
        given = request.authorization
        pool, client = find_client(given.username)
        config = client.extended_config
        if not client.secret or given.password != client.secret:
            return answer({"error": "invalid_client"}, 400)
        if "client_credentials" not in config["AllowedOAuthFlows"]:
            return answer({"error": "unauthorized_client"}, 400)
        if not set(request.form["scope"].split()) <= set(config["AllowedOAuthScopes"]):
            return answer({"error": "invalid_scope"}, 400)
        now = int(time.time())
        claims = {
            "sub": client.id,
            "token_use": "access",
            "scope": request.form["scope"],
            "auth_time": now,
            "iss": f"https://cognito-idp.{REGION}.amazonaws.com/{pool.id}",
            "iat": now,
            "exp": now + 3600,
            "version": 2,
            "jti": secrets.token_hex(16),
            "client_id": client.id,
        }
        return token_answer(jwt.encode({"kid": "dummy", "alg": "RS256"}, claims, pool.json_web_key))


def token_answer(token):
    return answer({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})


def answer(body, status=200):
    return Response(json.dumps(body), status, content_type="application/json")


def find_client(client_id):
    for pool in cognitoidp_backends[ACCOUNT][REGION].user_pools.values():
        if client_id in pool.clients:
            return pool, pool.clients[client_id]
    raise LookupError(f"no client {client_id}")
