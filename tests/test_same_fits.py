"""Fits are what they were: whoever rebuilds a floor of the house must not move a number.

A change that is meant to move them writes new ones here (they are printed where the test fails), and says why in its
commit. Double precision, so that machines differ in the last digits alone.
"""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X, Y = make_moons(60, noise=0.1, random_state=0)
WEIGHT = np.arange(60) % 3 + 1.0
SMALL = {
    "n_components": 2,
    "n_layers": 2,
    "hidden_layer_sizes": (8,),
    "max_iter": 8,
    "dtype": "float64",
    "random_state": 0,
}
FITS = {
    "clusters": (FlowMixtureClustering, {}, None),
    "em": (FlowMixtureClustering, {"solver": "em", "flow": "maf"}, None),
    "density": (FlowMixtureDensity, {"flow": "realnvp"}, None),
    "amortized": (FlowMixtureDensity, {"posterior": "amortized"}, None),
    "few labels": (FlowMixtureClustering, {}, np.where(np.arange(60) < 10, Y, -1)),
    "classes": (FlowMixtureClassifier, {"flow": "affine"}, Y),
}
# Log-densities of three rows, the first row that is drawn, and the best score.
EXPECTED = {
    "clusters": [-2.779732571, -0.954780059, -1.042011541, -0.686984832, 0.695878347, -1.275386799],
    "em": [-2.489280594, -2.577238127, -3.186712281, -0.713676457, 0.70175158, -1.751521351],
    "density": [-2.457688702, -1.956880223, -3.046372733, -0.832070097, 0.870173647, -1.757043307],
    "amortized": [-2.395848702, -1.02529268, -3.093729626, -0.791452801, 0.553963724, -1.567267208],
    "few labels": [-3.45333364, -1.461174355, -1.994192892, -0.496422709, 0.870545978, -1.419576235],
    "classes": [-2.398749627, -1.788894169, -2.676228948, 1.421758947, -0.111962237, -2.438114459],
}


@pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_what_it_was(name):
    estimator_class, parameters, y = FITS[name]
    model = estimator_class(**SMALL | parameters, device="cpu").fit(X, y, sample_weight=WEIGHT)
    found = [*model.score_samples(X[:3]), *model.sample(2)[0][0], model.lower_bound_]
    np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-4, err_msg=str(np.round(found, 9).tolist()))
