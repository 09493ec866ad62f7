"""From parameters to a mixture that nothing has been learned for, but for its first responsibilities."""

import numpy as np
import torch
from sklearn.utils import check_array

from ..bases import BASES
from ..bridge import seeded_generator
from ..flows import make_flow, make_shared_layers
from ..initialization import INITIALIZERS
from ..mixture import FlowMixture
from ..posterior import PosteriorNetwork
from ._parameters import FlowMixtureParameters
from ._start import first_responsibilities


class FlowMixtureArchitecture(FlowMixtureParameters):
    """What the parameters say about the mixture to be fitted."""

    def _start(self, init_params, X, data, component_class, dtype, seed):
        """First responsibilities, and a mixture whose components are their Gaussians."""
        if isinstance(init_params, str):
            init_params = self._initializer(init_params)
        resp = first_responsibilities(init_params, X, data, component_class, np.random.RandomState(seed))
        n_components, n_features = resp.shape[1], X.shape[1]
        flow, base = self._make_flows(n_components, n_features, seed)
        shared = make_shared_layers(self.flow, n_features, **self._sizes(seed)) if self.n_shared_layers else None
        posterior = self._make_posterior(n_components, n_features, seed)
        mixture = FlowMixture(flow, base, n_components, shared=shared, posterior=posterior).to(dtype)
        mixture.initialize(torch.as_tensor(X, dtype=dtype), torch.as_tensor(resp * data.weight[:, None], dtype=dtype))
        self._set_weights(mixture)
        return mixture, resp

    def _initializer(self, name):
        """The function that a name of `init_params` stands for."""
        return INITIALIZERS[name]

    def _make_flows(self, n_components, n_features, seed):
        """Flows and base of components that nothing has been learned for."""
        flow = make_flow(self.flow, n_components, n_features, reg_covar=self.reg_covar, **self._sizes(seed))
        return flow, BASES[self.base](n_components, n_features)

    def _make_posterior(self, n_components, n_features, seed):
        if self.posterior == "exact":
            return None
        sizes = tuple(self.hidden_layer_sizes)
        generator = seeded_generator(seed, "cpu")
        return PosteriorNetwork(n_features, n_components, hidden_layer_sizes=sizes, generator=generator)

    def _sizes(self, seed):
        return {
            "n_layers": self.n_layers,
            "n_shared_layers": self.n_shared_layers,
            "hidden_layer_sizes": tuple(self.hidden_layer_sizes),
            "generator": seeded_generator(seed, "cpu"),
        }

    def _set_weights(self, mixture):
        if self.weights_init is not None:
            weights = check_array(self.weights_init, ensure_2d=False, dtype=np.float64, input_name="weights_init")
            if weights.shape != (mixture.n_components,) or (weights <= 0).any():
                raise ValueError(
                    f"weights_init must hold {mixture.n_components} positive numbers, one for each component; "
                    f"got {self.weights_init!r}."
                )
            mixture.logits.data.copy_(torch.as_tensor(np.log(weights / weights.sum())))
        elif not self.learn_weights:
            mixture.logits.data.zero_()
        mixture.logits.requires_grad_(self.learn_weights)

    def _architecture_of(self, component_class):
        """What a mixture must have in common with another to go on from its parameters."""
        return {
            "n_components": len(component_class),
            "n_features": self.n_features_in_,
            "flow": self.flow if isinstance(self.flow, str) else list(self.flow),
            "n_layers": self.n_layers,
            "n_shared_layers": self.n_shared_layers,
            "hidden_layer_sizes": tuple(self.hidden_layer_sizes),
            "base": self.base,
            "posterior": self.posterior,
        }

    def _check_continuation(self, component_class):
        wanted = self._architecture_of(component_class)
        if wanted != self._architecture:
            changed = [name for name in wanted if wanted[name] != self._architecture[name]]
            raise ValueError(
                f"warm_start=True goes on from a fitted mixture that differs in {', '.join(changed)}; "
                f"it has {self._architecture}."
            )
