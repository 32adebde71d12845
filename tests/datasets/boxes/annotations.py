"""Annotations in VOC's form, written without the code that is tested."""

from __future__ import annotations


def voc_xml(objects, size=(60, 40), filename="a.png", extra=""):
    """Return VOC's annotations: objects as (name, xmin, ymin, xmax, ymax[, XML]), size as width, height."""
    lines = ["<annotation>", f"<filename>{filename}</filename>" if filename else "", extra]
    if size is not None:
        lines.append(f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>")
    for name, *box in objects:
        sides = "".join(
            f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=False)
        )
        lines.append(f"<object><name>{name}</name>{''.join(box[4:])}<bndbox>{sides}</bndbox></object>")
    return "\n".join([*lines, "</annotation>"])
