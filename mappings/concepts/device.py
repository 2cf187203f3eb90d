"""A device that measured something, such as a 20 MHz ultrasound scanner."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.codec import concept, quantity
from mappings.resource import ResourceMap
from mappings.rows import Element, at
from mappings.values import Concept, Noted, Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProperty:
    """One figure of a device, such as its transducer frequency in MHz."""

    type: Concept
    value: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Noted):
    """A measuring device."""

    type: Concept
    properties: tuple[DeviceProperty, ...] = ()


DEVICE = ResourceMap(
    Device,
    "Device",
    at("type", concept(), "type"),
    at(
        "property",
        Element(DeviceProperty, at("type", concept(), "type"), at("valueQuantity[0]", quantity(), "value")),
        "properties",
    ),
    profile="smx-device-ultrasound",
    title=lambda item: f"Device: {item.type.label}",
)
