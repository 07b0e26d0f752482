"""Writes the scripted devices of one node: mock.py INVENTORY FILE, with the node in NODE_NAME."""

import os
import sys
from pathlib import Path
from typing import Any

import yaml


def machine(inventory: dict[str, Any], node: str) -> dict[str, Any]:
    """Return the mock file of that node: its own devices, or those that every node has."""
    own = {each["name"]: each["devices"] for each in inventory["nodes"]}
    return {
        "name": node,
        # The agent tells of devices only; the format wants all of a machine.
        "cpu": 1,
        "memory": "1Gi",
        "models": inventory["models"],
        "devices": own.get(node, inventory["devices"]),
    }


if __name__ == "__main__":
    inventory = yaml.safe_load(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(yaml.safe_dump(machine(inventory, os.environ["NODE_NAME"])))
