"""The hub's own MQTT broker: mosquitto as a supervised child, or amqtt in the process where it is missing."""

from __future__ import annotations

from hub.broker.address import BrokerAddress, BrokerSettings, BrokerState
from hub.broker.supervisor import BrokerSupervisor

__all__ = ["BrokerAddress", "BrokerSettings", "BrokerState", "BrokerSupervisor"]
