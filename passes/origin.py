"""Which model a policy belongs to: its digest, which rewritten models carry along."""

from galen.ir import GalenError, Model
from galen.ir.digest import digest
from galen.passes.plain import plain
from galen.passes.policy import Policy

ORIGIN = "galen.origin"


def stamp(model: Model, policy: Policy | None = None) -> None:
    """Note in the model's metadata what it is rewritten from; call it before the first change.

    That is the model which `policy` was made for; without one, the model as `simplify,fold-batchnorm` makes it, unless
    it was rewritten before.

    Raises:
        GalenError: see `check`.
    """
    if policy is not None and policy.digest:
        check(policy, model)
        model.metadata_props[ORIGIN] = policy.digest
    elif ORIGIN not in model.metadata_props:
        model.metadata_props[ORIGIN] = digest(plain(model))


def check(policy: Policy, model: Model) -> None:
    """Refuse a policy of another model.

    Raises:
        GalenError: the policy names a digest that is neither the model's nor that of what it was rewritten from.
    """
    if policy.digest in ("", model.metadata_props.get(ORIGIN)) or policy.digest == (own := digest(model)):
        return
    raise GalenError(
        f"the policy is for model {policy.digest[:12]}, this one is {own[:12]}",
        where="policy",
        hint="apply simplify,fold-batchnorm first, as when the policy was made",
    )
