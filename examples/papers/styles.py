"""Class and style of digits: Kingma, Rezende, Mohamed and Welling (2014, arXiv:1406.5298), and Kingma's thesis, ch. 3.

Three pictures. A manifold: images at a grid of the two latent features of an autoencoder without labels, spread like
draws of the prior. Styles: each row a class, each column a style, of an autoencoder of class and style with two latent
features. Analogies: the style of a held-out image, on the left, with all classes.

The table says how many held-out digits of the semi-supervised model have the right class, and how many of the images
that it makes, with given style and class, a nearest neighbour among true images takes for the class that was wanted.

    python examples/papers/styles.py [--mnist mnist.npz] [--rows 10000] [--labels 1000] [--budget small]
        [--output styles.png]
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from comparison import all_digits, option_parser, panels, print_table
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier

from skflowmix import FlowAutoencoder, FlowAutoencoderClassifier

COLUMNS = ("latent features", "labels", "held-out digits, right", "analogies, recognised")
_N_ANALOGIES = 10


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: images, those with a label, styles along a side of a grid, and parameters of all fits."""

    n_rows: int
    n_labels: int
    n_grid: int
    parameters: dict


BUDGETS = {
    "small": Budget(250, 200, 3, {"hidden_layer_sizes": (32,), "max_iter": 15, "learning_rate_init": 2e-2}),
    "full": Budget(1400, 700, 12, {"hidden_layer_sizes": (200, 200), "max_iter": 100}),
    "mnist": Budget(10000, 1000, 16, {"hidden_layer_sizes": (300, 300), "max_iter": 40}),
}


def fit(model, X, y=None):
    """The model, fitted; one that ended at `max_iter` is taken as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def grid_of_styles(n):
    """Places of two latent features, spread like draws of a standard normal density: ndarray of shape (n * n, 2)."""
    along = norm.ppf((np.arange(n) + 0.5) / n)
    return np.array(np.meshgrid(along, along)).reshape(2, -1).T


def images_of(model, places, code):
    """Mean images of a class at latent places, ndarray of shape (N, D)."""
    module = model.autoencoder_.autoencoder
    with torch.no_grad():
        condition = model.autoencoder_.condition(torch.full((len(places),), code))
        raw = module.raw(torch.from_numpy(places)[None], condition)
        return module.likelihood.mean(raw)[0].numpy()


def mosaic(rows, n_columns):
    """Images (N, D) side by side, as one."""
    side = round(rows.shape[1] ** 0.5)
    return rows.reshape(-1, n_columns, side, side).swapaxes(1, 2).reshape(-1, n_columns * side)


def analogies(model, X):
    """Images with the styles of rows and every class, ndarray of shape (N, n_classes, D)."""
    made = [model.reconstruct(X, y=label) for label in model.classes_]
    return np.stack(made, 1)


def main(arguments=None):
    parser = option_parser(__doc__, "styles.png")
    parser.add_argument("--mnist", help="an .npz file with X of shape (N, 784), y and n_train")
    parser.add_argument("--rows", type=int, help="how many images to fit")
    parser.add_argument("--labels", type=int, help="how many of them have labels")
    options = parser.parse_args(arguments)
    budget = BUDGETS["mnist" if options.mnist and options.budget == "full" else options.budget]
    X, y, X_new, y_new = all_digits(options.mnist, n_rows=options.rows or budget.n_rows)
    n_labels, parameters = options.labels or budget.n_labels, {"random_state": 0} | budget.parameters
    partial = np.where(np.arange(len(y)) < n_labels, y, -1)
    judge = KNeighborsClassifier(1).fit(X, y)
    models, shown = {}, X_new[:_N_ANALOGIES]
    for n_latent in (2, 10):
        model = models[n_latent] = fit(FlowAutoencoderClassifier(n_latent, **parameters), X, partial)
        made = analogies(model, X_new[: 10 * _N_ANALOGIES])
        found = judge.predict(made.reshape(-1, X.shape[1])).reshape(made.shape[:2])
        recognised = float((found == model.classes_).mean())
        row = [n_latent, n_labels, float(model.score(X_new, y_new)), recognised]
        print_table(COLUMNS, [row], header=len(models) == 1)
    n = budget.n_grid
    manifold = fit(FlowAutoencoder(2, **parameters), X).inverse_transform(grid_of_styles(n))
    along = np.column_stack([norm.ppf((np.arange(n) + 0.5) / n), np.zeros(n)])
    styles = np.concatenate([images_of(models[2], along, code) for code in range(len(models[2].classes_))])
    both = np.concatenate([shown[:, None], analogies(models[10], shown)], 1)
    figure, axes = panels(1, 3)
    figure.set_size_inches(13, 5)
    pictures = {
        "two latent features": mosaic(manifold, n),
        "class (down) and style (across)": mosaic(styles, n),
        "style of the left, all classes": mosaic(both.reshape(-1, X.shape[1]), both.shape[1]),
    }
    for axis, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
        axis.set(title=title, xticks=[], yticks=[])
    figure.savefig(options.output, dpi=100)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
