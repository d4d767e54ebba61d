"""Requests that cannot be sent."""

from gateway.details import FieldViolation


class InvalidRequestError(Exception):
    """A request breaks rules of its proto; `violations` names every one of them."""

    def __init__(self, violations: list[FieldViolation]) -> None:
        super().__init__("; ".join(f"{it.field}: {it.description}" for it in violations))
        self.violations = tuple(violations)
