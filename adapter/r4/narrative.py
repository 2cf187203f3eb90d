"""Narrative: the XHTML that ``Narrative.div`` may hold (txt-1, txt-2), and nothing active."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from adapter.r4.faults import Faults, Json, Run, at, printable
from adapter.r4.primitives import FORBIDDEN, wrong_type

NAMESPACE = "http://www.w3.org/1999/xhtml"
XML = "{http://www.w3.org/XML/1998/namespace}"


def words(text: str, prefix: str = "") -> frozenset[str]:
    """Make a set of the words of a text."""
    return frozenset(prefix + word for word in text.split())


TAGS = words(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 "
    "h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var",
    f"{{{NAMESPACE}}}",
)
ANYWHERE = words("lang id", XML) | words(
    "title style class id idref lang dir accesskey tabindex span width align valign char charoff abbr axis headers "
    "scope rowspan colspan"
)
SOME = {
    tag: words(names)
    for tag, names in {
        "a": "name href charset type hreflang rel rev shape coords",
        "img": "src alt border height width longdesc usemap ismap",
        "blockquote": "cite",
        "q": "cite",
        "map": "name",
        "area": "shape coords href nohref alt",
        "table": "summary width border frame rules cellspacing cellpadding",
        "pre": "space",
        "td": "nowrap",
    }.items()
}
ACTIVE = re.compile(r"[\x00-\x20]*(?:javascript|vbscript|data:text)", re.ASCII | re.IGNORECASE)
LANGUAGES = {name: re.compile(rf"\s{name}\s*=\s*[\"']([^\"']*)") for name in ("lang", "xml:lang")}
DIV, IMAGE = f"{{{NAMESPACE}}}div", f"{{{NAMESPACE}}}img"
#: What no narrative needs and parsers expand, hide or obey.
MARKUP = re.compile(r"<!(?!--)|<\?")


def xhtml(value: Json, run: Run) -> Faults | None:
    """Check ``Narrative.div``."""
    if type(value) is not str:
        return wrong_type(value, run, "XHTML as a string")
    if MARKUP.search(value):
        return run.fault("txt-1/declaration")
    if not value.isprintable() and FORBIDDEN.search(value):
        return run.fault("pattern/control")
    try:
        parser = ElementTree.XMLParser()
        parser.feed(value)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, RecursionError):
        return run.fault("txt-1/form")
    return walk(root, run) if root.tag == DIV else run.fault("txt-1/root")


def walk(root: ElementTree.Element, run: Run) -> Faults | None:
    """Check every element; look for content on the way."""
    empty = True
    for element in root.iter():
        tag = element.tag
        if tag not in TAGS:
            return run.fault("txt-1/element", local(tag))
        if element.attrib:
            wrong = next((name for name, value in element.attrib.items() if not allowed(tag, name, value)), None)
            if wrong is not None:
                return run.fault("txt-1/attribute", local(wrong))
        if empty and (tag == IMAGE or full(element.text) or full(element.tail)):
            empty = False
    return run.fault("txt-2") if empty else None


def full(text: str | None) -> bool:
    """Say whether there is something to read."""
    return bool(text) and not str(text).isspace()


def local(name: str) -> str:
    """Name an element or attribute without its namespace."""
    return printable(name.rpartition("}")[2])


def allowed(tag: str, name: str, value: str) -> bool:
    """Say whether an element may carry an attribute with this value."""
    if name in ("href", "src", "cite", "longdesc") and ACTIVE.match(value):
        return False
    return name in ANYWHERE or name in SOME.get(tag.rpartition("}")[2], ())


def spoken(resource: Json, run: Run) -> Faults | None:
    """Check that a narrative has the language of its resource."""
    if "language" not in resource or "text" not in resource:
        return None
    wanted, div = resource["language"], resource["text"].get("div", "")
    head = div[: div.find(">")]
    if f' lang="{wanted}"' in head and f' xml:lang="{wanted}"' in head:
        return None
    spoken_in = {name: pattern.search(head) for name, pattern in LANGUAGES.items()}
    wrong = next((name for name, found in spoken_in.items() if not found or found[1] != wanted), None)
    return at(run.fault("narrative-language", wrong), "text") if head and wrong else None
