"""Files of annotations in the form of COCO: images, annotations and categories, which name each other by numbers."""

from __future__ import annotations

import json
from typing import Any

from cnncli.errors import DataError
from cnncli.files.form import Form, Unexpected

_UNIQUE = (("id", "images"), ("file_name", "images"), ("id", "categories"), ("name", "categories"))


def read_annotations(content: bytes, name: str, form: Form) -> Any:
    """Return a document of images, annotations and categories.

    Args:
        content: The file's bytes.
        name: What errors call it.
        form: What is needed of it, at least the numbers and names of images and categories.

    Raises:
        DataError: If it is not JSON, of another form, or has a number or a name twice.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON: {str(error)[:200]}") from error
    try:
        form(document)
    except Unexpected as error:
        raise DataError(f"{name} is not a file of annotations: {error}", "Expected the form of COCO.") from error
    for key, of in _UNIQUE:
        values = [entry[key] for entry in document[of]]
        if len(set(values)) != len(values):
            raise DataError(f"{name} has the same {key} twice among its {of}")
    return document
