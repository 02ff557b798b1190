#!/usr/bin/env python3
"""Creates an item with an attachment, uploads its file, and prints the ids of both.

    TOKEN=… attach_file.py http://localhost:8000
"""

import json
import os
import sys
from urllib.request import Request, urlopen

FILE = b"a file"
TIMEOUT_SECONDS = 10


def main(api):
    def create(path, body):
        headers = {"authorization": f"Bearer {os.environ['TOKEN']}", "content-type": "application/json"}
        with urlopen(Request(api + path, json.dumps(body).encode(), headers), timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)

    item = create("/items", {"title": "An item with an attachment"})
    new_attachment = {"filename": "file.txt", "content_type": "text/plain", "size": len(FILE)}
    attachment = create(f"/items/{item['id']}/attachments", new_attachment)
    upload = attachment["upload"]
    urlopen(Request(upload["url"], FILE, upload["headers"], method=upload["method"]), timeout=TIMEOUT_SECONDS).close()
    print(item["id"], attachment["id"])


if __name__ == "__main__":
    main(*sys.argv[1:])
