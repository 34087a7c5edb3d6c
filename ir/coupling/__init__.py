"""Which channels of a model must be cut together, and the cut itself.

`couple(model)` gives the groups, `coupling.cut({name: kept channels})` a `Cut`, `apply_cut(model, cut)` carries it out.
"""

from galen.ir.coupling.analysis import couple
from galen.ir.coupling.apply import apply_cut
from galen.ir.coupling.channels import Coupling, Frozen, Group, Member, Weight
from galen.ir.coupling.cut import Cut
from galen.ir.coupling.rule import Rule

__all__ = ["Coupling", "Cut", "Frozen", "Group", "Member", "Rule", "Weight", "apply_cut", "couple"]
