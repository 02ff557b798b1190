#!/usr/bin/env python3
"""Signs in at a local user pool as a browser would (authorization code with PKCE) and prints the access token.

    sign_in.py http://localhost:9229 alice PASSWORD
"""

import base64
import hashlib
import json
import secrets
import sys
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

CLIENT_ID = "localweb"
REDIRECT_URI = "http://localhost/callback"
SCOPE = "openid items/read items/write"
TIMEOUT_SECONDS = 10


class NoRedirects(HTTPRedirectHandler):
    """The last redirect leads to the app, which is this script."""

    def redirect_request(self, *_):
        return None


class PasswordForm(HTMLParser):
    """The page's form that asks for a password: its action and its fields with their values."""

    def __init__(self, page):
        super().__init__()
        self.forms = []
        self.feed(page)
        self.action, self.fields = next(form for form in self.forms if "password" in form[1])

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "form":
            self.forms.append((attributes.get("action") or "", {}))
        if tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1][1][attributes["name"]] = attributes.get("value") or ""


def main(pool, username, password):
    browser = build_opener(HTTPCookieProcessor(CookieJar()), NoRedirects())

    def send(url, fields=None, expected=200):
        body = urlencode(fields).encode() if fields else None
        try:
            answer = browser.open(Request(url, body), timeout=TIMEOUT_SECONDS)
        except HTTPError as error:
            answer = error
        if answer.status != expected:
            sys.exit(f"{url} answered {answer.status}: {answer.read().decode()[:1000]}")
        return answer

    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": SCOPE,
        "state": secrets.token_urlsafe(),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    authorize = send(f"{pool}/oauth2/authorize?{urlencode(query)}", expected=302)
    login = urljoin(pool, authorize.headers["Location"])
    form = PasswordForm(send(login).read().decode())
    fields = form.fields | {"username": username, "password": password}
    answer = send(urljoin(login, form.action), fields, expected=302)
    callback = parse_qs(urlsplit(answer.headers["Location"]).query)
    exchange = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "code": callback["code"][0],
        "code_verifier": verifier,
    }
    print(json.load(send(f"{pool}/oauth2/token", exchange))["access_token"])


if __name__ == "__main__":
    main(*sys.argv[1:])
