"""Write lowlat/core/layout.h, the C view of core/layout.py; ``--check`` fails when it is old."""

import sys
from pathlib import Path

from lowlat.core import layout

HEADER = Path(__file__).parent.parent / "lowlat" / "core" / "layout.h"
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


def struct_lines(record: layout.RecordType) -> list[str]:
    name = f"ll_{record.name.lower()}"
    body, checks = ["typedef struct {"], []
    for field, (dtype, offset) in record.dtype.fields.items():
        base, count = (dtype.base, dtype.shape[0]) if dtype.shape else (dtype, 0)
        if base.kind == "V":
            body.append(f"    uint8_t {field}[{base.itemsize}];")
        else:
            suffix = f"[{count}]" if count else ""
            body.append(f"    {C_TYPES[base.str[1:]]} {field}{suffix};")
        checks.append(f'_Static_assert(offsetof({name}, {field}) == {offset}, "{field}");')
    used = record.codec.size + layout.SLOT_HEAD_BYTES
    if used < record.size_bytes:
        body.append(f"    uint8_t tail_reserved[{record.size_bytes - used}];")
    body.append(f"}} {name};")
    checks.append(f'_Static_assert(sizeof({name}) == {record.size_bytes}, "{name}");')
    return body + checks


if __name__ == "__main__":
    text = render()
    if "--check" in sys.argv:
        sys.exit(
            0 if HEADER.read_text() == text else f"{HEADER} is old: run tools/layout_header.py"
        )
    HEADER.write_text(text)
