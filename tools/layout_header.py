"""Write the C and Cython views of core/layout.py; ``--check`` fails when one is old."""

import sys
from pathlib import Path

from lowlat.core import layout

CORE = Path(__file__).parent.parent / "lowlat" / "core"
C_TYPES = {
    "u1": "uint8_t",
    "u2": "uint16_t",
    "u4": "uint32_t",
    "u8": "uint64_t",
    "i4": "int32_t",
    "i8": "int64_t",
    "f8": "double",
}
CONSTANTS = (
    "LAYOUT_VERSION",
    "SLOT_HEAD_BYTES",
    "BOOK_LEVELS",
    "BOOK_TOP_LEVELS",
    "SIGNAL_METADATA_BYTES",
    "FRAME_DATA_BYTES",
)
ENUMS = (layout.BookFlag, layout.Action, layout.Outcome, layout.Known)


def render() -> str:
    lines = [
        "/* Generated from lowlat/core/layout.py by tools/layout_header.py. Do not edit. */",
        "#ifndef LOWLAT_LAYOUT_H",
        "#define LOWLAT_LAYOUT_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        '_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian only");',
        "",
    ]
    lines += [f"#define LL_{name} {getattr(layout, name)}" for name in CONSTANTS]
    lines += [
        f"#define LL_{enum.__name__.upper()}_{member.name} {member.value}"
        for enum in ENUMS
        for member in enum
    ]
    lines.append("")
    for record in layout.RECORDS:
        lines += [f"#define LL_KIND_{record.name} {record.kind}", *struct_lines(record), ""]
    return "\n".join([*lines, "#endif", ""])


def render_pxd() -> str:
    """Return the Cython view: what kernels cimport, checked against the header by the compiler."""
    lines = [
        "# Generated from lowlat/core/layout.py by tools/layout_header.py. Do not edit.",
        "from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t",
        "",
        'cdef extern from "layout.h" nogil:',
        "    enum:",
    ]
    names = [f"LL_{name}" for name in CONSTANTS]
    names += [f"LL_{enum.__name__.upper()}_{member.name}" for enum in ENUMS for member in enum]
    names += [f"LL_KIND_{record.name}" for record in layout.RECORDS]
    lines += [f"        {name}" for name in names]
    for record in layout.RECORDS:
        lines += ["", f"    ctypedef struct ll_{record.name.lower()}:"]
        lines += [f"        {field}" for field in fields_of(record)]
    return "\n".join([*lines, ""])


def fields_of(record: layout.RecordType) -> list[str]:
    """Return the C declaration of each field, without its semicolon."""
    found = []
    for field, (dtype, _) in record.dtype.fields.items():
        base, count = (dtype.base, dtype.shape[0]) if dtype.shape else (dtype, 0)
        if base.kind == "V":
            found.append(f"uint8_t {field}[{base.itemsize}]")
        else:
            found.append(f"{C_TYPES[base.str[1:]]} {field}" + (f"[{count}]" if count else ""))
    return found


def struct_lines(record: layout.RecordType) -> list[str]:
    name = f"ll_{record.name.lower()}"
    body = ["typedef struct {", *(f"    {field};" for field in fields_of(record))]
    checks = [
        f'_Static_assert(offsetof({name}, {field}) == {offset}, "{field}");'
        for field, (_, offset) in record.dtype.fields.items()
    ]
    used = record.codec.size + layout.SLOT_HEAD_BYTES
    if used < record.size_bytes:
        body.append(f"    uint8_t tail_reserved[{record.size_bytes - used}];")
    body.append(f"}} {name};")
    checks.append(f'_Static_assert(sizeof({name}) == {record.size_bytes}, "{name}");')
    return body + checks


def main() -> int:
    views = {CORE / "layout.h": render(), CORE / "layout.pxd": render_pxd()}
    for path, text in views.items():
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path} is old: run tools/layout_header.py", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
