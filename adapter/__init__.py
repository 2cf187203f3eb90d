"""Everything that touches a file, a socket, a clock or a screen: command line, HTTP endpoint, typed models.

`adapter` imports `mappings`, never the other way. Importing this package loads nothing heavy:
Flask and fhir.resources are imported where they are used.
"""

#: The day on which this version was made, raised together with the version; what the endpoint declares as its date.
RELEASE_DATE = "2026-11-22"
