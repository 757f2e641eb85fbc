"""The plain script that an installer would write: read a line, ask, switch the relay. The baseline.

    python -m speed.plain SERIAL URL CA_FILE PIN OPEN_S

No record, no signals, no bound on the relay's time, and a timeout that restarts with every byte.
"""

from __future__ import annotations

import ssl
import sys
import time

import httpx
import serial
from gpiozero import DigitalOutputDevice

from speed.pins import StampingFactory


def main() -> None:
    """Runs until it is killed."""
    path, url, ca_file, pin, open_s = sys.argv[1:]
    relay = DigitalOutputDevice(int(pin), pin_factory=StampingFactory())
    port = serial.Serial(path, 9600)
    headers = {"Authorization": "Bearer plain", "X-Gym-Id": "1234"}
    client = httpx.Client(verify=ssl.create_default_context(cafile=ca_file), headers=headers, timeout=30.0)
    print("ready", flush=True)
    while True:
        code = port.readline().strip().decode()
        answer = client.post(f"{url}/access/v1/validate", json={"gympass_id": code})
        if answer.status_code == 200:
            relay.on()
            time.sleep(float(open_s))
            relay.off()


if __name__ == "__main__":
    main()
