"""What other versions of FHIR have and R4 does not: documents of DSTU2, STU3 and R5 are refused by name, not half-read.

R4B is read where it agrees with R4, which it does in every type that has a table.
"""

from __future__ import annotations

from mappings.report import Issue
from mappings.resource import Node

#: Members that R4 does not have and other versions do, by resource type: what gives a sender's version away.
_TELLS = {
    "Patient": {"DSTU2": "careProvider animal", "STU3": "animal"},
    "Encounter": {
        "DSTU2": "incomingReferral indication patient reason",
        "STU3": "incomingReferral reason",
        "R5": "actualPeriod admission plannedStartDate plannedEndDate reason subjectStatus virtualService",
    },
    "Condition": {
        "DSTU2": "abatementBoolean abatementQuantity dateRecorded notes onsetQuantity patient",
        "STU3": "abatementBoolean assertedDate context",
        "R5": "participant",
    },
    "Observation": {
        "DSTU2": "comments related",
        "STU3": "comment context related",
        "R5": "bodyStructure instantiatesCanonical instantiatesReference triggeredBy",
    },
    "Specimen": {"DSTU2": "treatment", "R5": "combined feature role"},
    "DiagnosticReport": {
        "DSTU2": "codedDiagnosis image request",
        "STU3": "codedDiagnosis context image",
        "R5": "composition note study supportingInfo",
    },
    "Media": {"DSTU2": "subtype", "STU3": "context occurrenceDateTime occurrencePeriod subtype"},
    "Device": {
        "DSTU2": "expiry model udi",
        "STU3": "model udi",
        "R5": "availabilityStatus biologicalSourceEvent conformsTo displayName",
    },
    "Medication": {
        "DSTU2": "isBrand package product",
        "STU3": "image isBrand isOverTheCounter package",
        "R5": "definition doseForm marketingAuthorizationHolder totalVolume",
    },
    "MedicationStatement": {
        "DSTU2": "patient reasonForUseCodeableConcept reasonForUseReference reasonNotTaken wasNotTaken",
        "STU3": "reasonNotTaken taken",
        "R5": "adherence effectiveTiming encounter medication reason renderedDosageInstruction",
    },
    "MedicationAdministration": {
        "DSTU2": "effectiveTimeDateTime effectiveTimePeriod encounter patient practitioner prescription reasonGiven "
        "reasonNotGiven wasNotGiven",
        "STU3": "definition notGiven prescription reasonNotGiven",
        "R5": "encounter isSubPotent medication occurenceDateTime occurencePeriod occurenceTiming reason recorded",
    },
    "MedicationRequest": {"STU3": "context definition", "R5": "effectiveDosePeriod medication reason"},
    "MedicationDispense": {"DSTU2": "dispenser patient", "STU3": "notDone", "R5": "encounter medication"},
    "Procedure": {
        "DSTU2": "notPerformed notes reasonCodeableConcept reasonNotPerformed request used",
        "STU3": "context definition notDone notDoneReason",
        "R5": "focus occurrenceAge occurrenceDateTime occurrencePeriod occurrenceRange occurrenceString reason "
        "recorded used",
    },
    "DocumentReference": {"DSTU2": "class created indexed", "STU3": "class created indexed", "R5": "attester version"},
    "Group": {"R5": "description membership"},
}
#: Members that have another JSON type in R4, by resource type: member, the type, the version.
_OTHER_SHAPES: dict[str, tuple[tuple[str, type, str], ...]] = {
    "Condition": (
        ("clinicalStatus", str, "DSTU2 or STU3"),
        ("verificationStatus", str, "DSTU2 or STU3"),
        ("category", dict, "DSTU2"),
    ),
    "Observation": (("category", dict, "DSTU2"), ("interpretation", dict, "DSTU2 or STU3")),
    "DiagnosticReport": (("category", dict, "DSTU2 or STU3"),),
    "Encounter": (("class", str, "DSTU2"), ("class", list, "R5")),
}
_JSON_TYPES: dict[type, str] = {str: "a string", dict: "an object", list: "an array"}
#: Resource types that R4 and R4B do not have.
_OTHER_TYPES = {
    "DSTU2": "DeviceUseRequest MedicationOrder",
    "DSTU2 or STU3": "EligibilityRequest EligibilityResponse ProcedureRequest ProcessRequest ProcessResponse "
    "ReferralRequest BodySite",
    "STU3": "DataElement DeviceComponent ImagingManifest Sequence ServiceDefinition",
    "R5": "ActorDefinition ArtifactAssessment DeviceAssociation DeviceDispense DeviceUsage EncounterHistory "
    "FormularyItem GenomicStudy ImagingSelection InventoryItem InventoryReport MedicationUsage NutritionIntake "
    "Permission RequestOrchestration Requirements TestPlan Transport",
}


def _versions(tells: dict[str, str]) -> dict[str, str]:
    """member -> the versions that have it, as people say it."""
    found: dict[str, str] = {}
    for version, names in tells.items():
        for name in names.split():
            found[name] = f"{found[name]} or {version}" if name in found else version
    return found


OTHER_MEMBERS = {type_: _versions(tells) for type_, tells in _TELLS.items()}
OTHER_TYPES = _versions(_OTHER_TYPES)


def version_issues(node: Node) -> list[Issue]:
    """What only other versions of FHIR have: a type, a member, a member of another JSON type."""
    found = [(node.type, node.pointer, OTHER_TYPES[node.type])] if node.type in OTHER_TYPES else []
    tells = OTHER_MEMBERS.get(node.type, {})
    if not tells.keys().isdisjoint(node.resource):
        told = ((name, version) for name, version in tells.items() if name in node.resource)
        found += [(f"{node.type}.{name}", f"{node.pointer}/{name}", version) for name, version in told]
    for name, kind, version in _OTHER_SHAPES.get(node.type, ()):
        if type(node.resource.get(name)) is kind:
            found.append((f"{node.type}.{name} as {_JSON_TYPES[kind]}", f"{node.pointer}/{name}", version))
    return [
        Issue("other-version", f"This is {version}: {what}.", node.path, where, "FHIR R4 4.0.1")
        for what, where, version in found
    ]
