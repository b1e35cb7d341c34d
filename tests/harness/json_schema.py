"""The part of JSON Schema 2020-12 that our schemas use; an unknown keyword is refused loudly."""

import json
import re

ANNOTATIONS = {"$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples",
               "format", "deprecated", "readOnly", "writeOnly"}

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: not isinstance(v, bool) and (
        isinstance(v, int) or (isinstance(v, float) and v.is_integer())),
}


def is_number(v):
    return TYPES["number"](v)


def equal(a, b):
    """JSON equality: true is not 1."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True) or (
        is_number(a) and is_number(b) and a == b)


def check_type(v, want, _schema, at, _root):
    names = want if isinstance(want, list) else [want]
    return [] if any(TYPES[n](v) for n in names) else ["%s: is not %s" % (at, want)]


def check_properties(v, properties, _schema, at, root):
    faults = []
    for name, schema in properties.items() if isinstance(v, dict) else ():
        if name in v:
            faults += faults_of(v[name], schema, "%s/%s" % (at, name), root)
    return faults


def check_required(v, names, _schema, at, _root):
    return ["%s: %s is missing" % (at, n) for n in names if isinstance(v, dict) and n not in v]


def check_additional(v, allowed, schema, at, root):
    if not isinstance(v, dict):
        return []
    faults = []
    known = schema.get("properties", {})
    for name in v:
        if name in known or any(re.search(p, name) for p in schema.get("patternProperties", {})):
            continue
        if allowed is False:
            faults.append("%s: %s is not allowed" % (at, name))
        elif isinstance(allowed, dict):
            faults += faults_of(v[name], allowed, "%s/%s" % (at, name), root)
    return faults


def check_pattern_properties(v, patterns, _schema, at, root):
    faults = []
    for name in v if isinstance(v, dict) else ():
        for pattern, schema in patterns.items():
            if re.search(pattern, name):
                faults += faults_of(v[name], schema, "%s/%s" % (at, name), root)
    return faults


def check_items(v, schema, _schema, at, root):
    faults = []
    for i, item in enumerate(v if isinstance(v, list) else ()):
        faults += faults_of(item, schema, "%s/%d" % (at, i), root)
    return faults


def check_ref(v, ref, _schema, at, root):
    target = root
    for part in ref.lstrip("#").strip("/").split("/"):
        target = target[part] if part else target
    return faults_of(v, target, at, root)


def check_any(v, schemas, _schema, at, root):
    tried = [faults_of(v, s, at, root) for s in schemas]
    return [] if any(not t for t in tried) else ["%s: fits none of anyOf: %s" % (at, tried)]


def check_one(v, schemas, _schema, at, root):
    fits = [not faults_of(v, s, at, root) for s in schemas].count(True)
    return [] if fits == 1 else ["%s: fits %d of oneOf" % (at, fits)]


def check_all(v, schemas, _schema, at, root):
    return [f for s in schemas for f in faults_of(v, s, at, root)]


def check_not(v, schema, _schema, at, root):
    return ["%s: fits what it must not" % at] if not faults_of(v, schema, at, root) else []


def bound(applies, fits, text):
    def check(v, limit, _schema, at, _root):
        return [] if not applies(v) or fits(v, limit) else ["%s: %s %s" % (at, text, limit)]
    return check


def is_a(kind):
    return lambda v: isinstance(v, kind)


KEYWORDS = {
    "type": check_type,
    "properties": check_properties,
    "required": check_required,
    "additionalProperties": check_additional,
    "patternProperties": check_pattern_properties,
    "items": check_items,
    "$ref": check_ref,
    "anyOf": check_any,
    "oneOf": check_one,
    "allOf": check_all,
    "not": check_not,
    "const": bound(lambda v: True, equal, "is not"),
    "enum": bound(lambda v: True, lambda v, e: any(equal(v, x) for x in e), "is none of"),
    "minimum": bound(is_number, lambda v, n: v >= n, "is below"),
    "maximum": bound(is_number, lambda v, n: v <= n, "is above"),
    "exclusiveMinimum": bound(is_number, lambda v, n: v > n, "is not above"),
    "exclusiveMaximum": bound(is_number, lambda v, n: v < n, "is not below"),
    "minLength": bound(is_a(str), lambda v, n: len(v) >= n, "is shorter than"),
    "maxLength": bound(is_a(str), lambda v, n: len(v) <= n, "is longer than"),
    "pattern": bound(is_a(str), lambda v, p: re.search(p, v) is not None, "does not match"),
    "minItems": bound(is_a(list), lambda v, n: len(v) >= n, "has fewer items than"),
    "maxItems": bound(is_a(list), lambda v, n: len(v) <= n, "has more items than"),
    "minProperties": bound(is_a(dict), lambda v, n: len(v) >= n, "has fewer members than"),
    "maxProperties": bound(is_a(dict), lambda v, n: len(v) <= n, "has more members than"),
    "uniqueItems": bound(
        is_a(list),
        lambda v, on: not on or len({json.dumps(x, sort_keys=True) for x in v}) == len(v),
        "uniqueItems"),
}


def faults_of(value, schema, at="", root=None):
    """What is wrong with value, as texts; none when it fits."""
    root = schema if root is None else root
    if schema is True:
        return []
    if schema is False:
        return ["%s: nothing is allowed here" % at]
    faults = []
    for keyword, argument in schema.items():
        if keyword in KEYWORDS:
            faults += KEYWORDS[keyword](value, argument, schema, at or "the value", root)
        elif keyword not in ANNOTATIONS and not keyword.startswith("x-"):
            raise ValueError("json_schema.py does not know the keyword %s" % keyword)
    return faults
