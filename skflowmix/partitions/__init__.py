"""Which rows belong together: candidate partitions, the evidence for each, how many clusters there are.

Everything here is about rows in numpy, standardised and distinct, with positive weights. A partition is labels of the
rows (`automatic.partition_of_some`), or responsibilities (N, K) of an initialiser
``(X, n_components, weight, random_state) -> resp`` (`automatic.automatic`, `soft.soft`, `seeds.kmeans`).
"""
