"""What a Salesforce field is, and how `describe` tells it.

Source: REST API guide, "sObject Describe", and SOAP API guide, "Field types" (v67.0)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SOAP_TYPES = {
    "id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int", "double": "xsd:double",
    "currency": "xsd:double", "percent": "xsd:double", "date": "xsd:date", "datetime": "xsd:dateTime",
    "time": "xsd:time", "address": "urn:address", "location": "urn:location", "base64": "xsd:base64Binary",
    "anyType": "xsd:anyType",
}  # fmt: skip
NUMBER_TYPES = frozenset({"int", "double", "currency", "percent"})
COMPOUND_TYPES = frozenset({"address", "location"})
UNFILTERABLE_TYPES = frozenset({"address", "location", "textarea_long", "base64"})
DEFAULT_LENGTHS = {"id": 18, "reference": 18, "email": 80, "phone": 40, "url": 255, "picklist": 255, "textarea": 255,
                   "multipicklist": 4099, "combobox": 255, "textarea_long": 32768, "encryptedstring": 175}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One field of an object. `refers_to` names the objects a reference may point to."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    calculated: bool = False
    compound: str | None = None
    refers_to: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    unique: bool = False
    external_id: bool = False
    writable: bool = True

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    @property
    def is_compound(self) -> bool:
        return self.type in COMPOUND_TYPES

    @property
    def filterable(self) -> bool:
        return self.type not in UNFILTERABLE_TYPES

    @property
    def relationship(self) -> str | None:
        """The name a query reaches the parent by: `OwnerId` -> `Owner`, `Account__c` -> `Account__r`."""
        if not self.refers_to:
            return None
        return self.name[:-3] + "__r" if self.custom else self.name.removesuffix("Id")

    @property
    def json_type(self) -> str:
        """`textarea_long` is our word for a long text area; upstream calls both `textarea`."""
        return "textarea" if self.type == "textarea_long" else self.type

    def describe(self) -> dict[str, Any]:
        """The field as an element of `fields` in a describe answer."""
        writable = self.writable and not self.calculated and not self.is_compound
        return {
            "name": self.name, "label": self.label or _label(self.name), "type": self.json_type,
            "soapType": SOAP_TYPES.get(self.type, "xsd:string"), "custom": self.custom,
            "length": self.length or self._default_length(), "byteLength": 3 * (self.length or self._default_length()),
            "precision": self.precision, "scale": self.scale, "digits": 8 if self.type == "int" else 0,
            "nillable": self.nillable, "calculated": self.calculated, "compoundFieldName": self.compound,
            "calculatedFormula": "SANDBOX()" if self.calculated else None, "aggregatable": self.filterable,
            "filterable": self.filterable, "sortable": self.filterable and self.type != "multipicklist",
            "groupable": self.filterable and self.type not in NUMBER_TYPES, "createable": writable,
            "updateable": writable, "defaultedOnCreate": self.type == "boolean", "unique": self.unique,
            "externalId": self.external_id, "idLookup": self.type == "id" or self.external_id,
            "encrypted": self.type == "encryptedstring", "nameField": self.name == "Name", "autoNumber": False,
            "caseSensitive": False, "deprecatedAndHidden": False, "permissionable": writable,
            "restrictedPicklist": False, "referenceTo": list(self.refers_to), "relationshipName": self.relationship,
            "picklistValues": [
                {"active": True, "defaultValue": False, "label": choice, "validFor": None, "value": choice}
                for choice in self.choices
            ],
        }  # fmt: skip

    def _default_length(self) -> int:
        if self.type in SOAP_TYPES and self.type not in DEFAULT_LENGTHS:
            return 0
        return DEFAULT_LENGTHS.get(self.type, 255)


def text(name: str, length: int = 255, **more: Any) -> Field:
    return Field(name, length=length, **more)


def number(name: str, precision: int = 18, scale: int = 0, kind: str = "double", **more: Any) -> Field:
    return Field(name, kind, precision=precision, scale=scale, **more)


def choice(name: str, *choices: str, kind: str = "picklist", **more: Any) -> Field:
    return Field(name, kind, choices=choices, **more)


def reference(name: str, *refers_to: str, **more: Any) -> Field:
    return Field(name, "reference", refers_to=refers_to, **more)


def address(name: str) -> tuple[Field, ...]:
    """A compound address and the parts it is made of: `BillingAddress`, `BillingStreet` …"""
    stem = name.removesuffix("Address")
    parts = (
        Field(f"{stem}Street", "textarea", compound=name),
        text(f"{stem}City", 40, compound=name),
        text(f"{stem}State", 80, compound=name),
        text(f"{stem}PostalCode", 20, compound=name),
        text(f"{stem}Country", 80, compound=name),
        number(f"{stem}Latitude", 18, 15, compound=name),
        number(f"{stem}Longitude", 18, 15, compound=name),
        choice(f"{stem}GeocodeAccuracy", "Address", "Block", "City", "Zip", compound=name),
    )
    return (*parts, Field(name, "address", writable=False))


def _label(name: str) -> str:
    """A readable label: `AnnualRevenue` -> `Annual Revenue`, `Due_Date__c` -> `Due Date`."""
    if name.endswith("__c"):
        return name[:-3].replace("_", " ")
    spaced = "".join(f" {letter}" if letter.isupper() and at else letter for at, letter in enumerate(name))
    return spaced.removesuffix(" Id") + (" ID" if spaced.endswith(" Id") else "") if name != "Id" else "Record ID"
