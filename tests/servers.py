"""An S3 and an SSH server on this machine, for tests of a team's remote.

Real servers, processes of their own, each on a port of the loopback that the system chose. Both
know what a remote is set up with, and let a test look at objects, change them and kill the server.
"""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests
from faults import PATIENCE

OBJECTS = "files/md5/"


class S3Server:
    """moto's server, which checks keys and signatures once its user exists.

    It keeps all in memory, but writes each request down; a start after a kill repeats them. That
    is its disk.
    """

    url = "s3://store/team"

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.record = folder / "record"
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()
        # Moto draws keys at random: the same ones when what it has written down is repeated.
        self.ask_moto("seed?a=0")
        key = self.add_user()
        self.shared = {"endpointurl": self.address}
        self.own = {"access_key_id": key["id"], "secret_access_key": key["secret"]}
        self.wrong = {"secret_access_key": "not-the-secret"}
        self.client = self.connect("s3", key)
        self.client.create_bucket(Bucket="store")

    def connect(self, service: str, key: dict[str, str]) -> Any:
        return boto3.client(
            service, region_name="us-east-1", endpoint_url=self.address,
            aws_access_key_id=key["id"], aws_secret_access_key=key["secret"],
        )  # fmt: skip

    def add_user(self) -> dict[str, str]:
        """The key of a user who may do everything with S3."""
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam = self.connect("iam", {"id": "any", "secret": "any"})
        iam.create_user(UserName="team")
        iam.put_user_policy(UserName="team", PolicyName="store", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName="team")["AccessKey"]
        iam.close()
        return {"id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}

    def start(self) -> None:
        environment = {
            "INITIAL_NO_AUTH_ACTION_COUNT": "3",  # the three that add the user
            "MOTO_ENABLE_RECORDING": "1",
            "MOTO_RECORDER_FILEPATH": str(self.record),
        }
        script = str(Path(__file__).with_name("s3_server.py"))
        command = [sys.executable, script, "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = listening(command, self.port, self.folder / "log", environment)
        if self.record.exists():
            whole, _, _torn = self.record.read_bytes().rpartition(b"\n")
            self.record.write_bytes(whole + b"\n")
            self.ask_moto("recorder/replay-recording")

    def ask_moto(self, what: str) -> None:
        requests.post(f"{self.address}/moto-api/{what}", timeout=PATIENCE).raise_for_status()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.client.close()
        self.kill()

    def objects(self) -> set[str]:
        """The MD5 of each object, with .dir for a folder's list."""
        listed = self.client.list_objects_v2(Bucket="store", Prefix=f"team/{OBJECTS}")
        return {
            entry["Key"].removeprefix(f"team/{OBJECTS}").replace("/", "")
            for entry in listed.get("Contents", [])
        }

    def place(self, md5: str) -> dict[str, str]:
        return {"Bucket": "store", "Key": f"team/{OBJECTS}{md5[:2]}/{md5[2:]}"}

    def read(self, md5: str) -> bytes:
        with self.client.get_object(**self.place(md5))["Body"] as body:
            content: bytes = body.read()
        return content

    def write(self, md5: str, content: bytes) -> None:
        self.client.put_object(**self.place(md5), Body=content)

    def remove(self, md5: str) -> None:
        self.client.delete_object(**self.place(md5))


class SshServer:
    """OpenSSH's sshd as a process of this user, with keys and a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.program = sshd()
        for name in ("host", "member", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        self.configuration = folder / "sshd_config"
        self.configuration.write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nPidFile none\n"
            f'HostKey "{folder}/host"\nAuthorizedKeysFile "{folder}/member.pub"\n'
            "StrictModes no\n"  # the folder for temporary files is everyone's
            "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n",
            encoding="utf-8",
        )
        self.store = folder / "store"
        self.url = f"ssh://127.0.0.1:{self.port}{self.store}"
        self.shared: dict[str, str] = {}
        self.own = {"user": getpass.getuser(), "keyfile": str(folder / "member")}
        self.wrong = {"keyfile": str(folder / "stranger")}
        self.start()

    def start(self) -> None:
        command = [self.program, "-D", "-e", "-f", str(self.configuration)]
        self.process = listening(command, self.port, self.folder / "log", {})

    def kill(self) -> None:
        """Kill it and its connections' processes, which outlive it otherwise."""
        server = psutil.Process(self.process.pid)
        for process in (server, *server.children(recursive=True)):
            process.kill()
        self.process.wait()

    stop = kill

    def objects(self) -> set[str]:
        """The MD5 of each object, with .dir for a folder's list."""
        files = self.store.glob(f"{OBJECTS}*/*")
        return {f"{file.parent.name}{file.name}" for file in files if file.suffix != ".tmp"}

    def place(self, md5: str) -> Path:
        return self.store / OBJECTS / md5[:2] / md5[2:]

    def read(self, md5: str) -> bytes:
        return self.place(md5).read_bytes()

    def write(self, md5: str, content: bytes) -> None:
        self.place(md5).write_bytes(content)

    def remove(self, md5: str) -> None:
        self.place(md5).unlink()


Server = S3Server | SshServer


def sshd() -> str:
    """Its absolute path, without which it does not start."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    # CI prepares both, so there it is a defect; elsewhere it is the user's choice.
    refuse = pytest.fail if os.environ.get("CI") else pytest.skip
    if not found:
        refuse("expected sshd; found none. Debian: apt-get install openssh-server")
    if os.geteuid() == 0:
        # root's sshd needs this folder, which only the system's own SSH service creates.
        try:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            refuse(f"expected the folder /run/sshd: {error}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def listening(
    command: list[str], port: int, log: Path, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """A server that answers on its port."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | environment)
    end = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, f"ended: {log.read_text(encoding='utf-8')}"
        assert time.monotonic() < end, f"does not answer: {log.read_text(encoding='utf-8')}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return process
