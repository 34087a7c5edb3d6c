"""Which model a policy belongs to: its digest, which rewritten models carry along."""

from galen.ir import GalenError, Model
from galen.ir.digest import digest
from galen.passes.policy import Policy

ORIGIN = "galen.origin"


def origin(model: Model) -> str:
    """Return the digest of the model that this one was rewritten from, its own when it is the original."""
    return model.metadata_props.get(ORIGIN) or digest(model)


def stamp(model: Model) -> None:
    """Note the origin in the model's metadata; call it before the first change that a policy asks for."""
    model.metadata_props[ORIGIN] = origin(model)


def check(policy: Policy, model: Model) -> None:
    """Refuse a policy of another model.

    Raises:
        GalenError: the policy names a digest that is not the model's origin.
    """
    if policy.digest and policy.digest != (found := origin(model)):
        raise GalenError(
            f"the policy is for model {policy.digest[:12]}, this one is {found[:12]}",
            where="policy",
            hint="apply simplify,fold-batchnorm first, as when the policy was made",
        )
