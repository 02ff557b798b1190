import os
import sys
import threading

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from . import client, cognito_resources  # noqa: F401 (moto finds the types by their base class)
from .managed_login import ManagedLogin

app = ManagedLogin(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
os.environ["MOTO_PORT"] = str(server.server_port)
os.environ["FAKE_AWS_URL"] = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()
# As `cdk bootstrap` leaves an account: every synthesized template asks for this parameter.
client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
print(os.environ["FAKE_AWS_URL"], flush=True)
sys.stdin.read()
