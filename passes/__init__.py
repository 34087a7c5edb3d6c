"""Graph rewrites parameterised by a policy, and the text syntax that names them."""
