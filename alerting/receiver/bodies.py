"""What the body of a request is read into; what does not fit says where, and quotes nothing sensitive."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from handrail.redact import redact

M = TypeVar("M", bound=BaseModel)


class Malformed(Exception):
    """The body is not what it should be; the text says what is wrong and where, redacted, as it may quote the body."""

    def __init__(self, text: str) -> None:
        super().__init__(redact(text))


def validated(model: type[M], document: object) -> M:
    """The document as the model has it: JSON as bytes, or values read from it. Malformed names the first fault."""
    try:
        if isinstance(document, bytes):
            return model.model_validate_json(document)
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise Malformed(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
