"""moto's S3 server; what it records of requests at the same time does not get mixed up."""

import sys
import threading

from moto.moto_api._internal.recorder.models import Recorder
from moto.server import main

one_at_a_time = threading.Lock()
record = Recorder._record_request


def record_whole(*arguments: object) -> None:
    with one_at_a_time:
        record(*arguments)


Recorder._record_request = record_whole
main(sys.argv[1:])
