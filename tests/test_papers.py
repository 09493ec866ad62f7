"""The experiments of examples/papers run, small, and print what they should: docs/notes/published-experiments.md."""

import autoencoder_posteriors
import energies
import few_labels
import images
import numpy as np
import optimisers
import over_relaxation
import overdispersed_counts
import planar_depth
import pruning
import pytest
import styles
import variational_mixture
import weight_noise
import weight_sharing
from comparison import cluster_accuracy, digits
from sklearn.datasets import load_digits
from toy_data import make_checkerboard, make_eight_gaussians


@pytest.fixture
def table(capsys, tmp_path):
    """A function that runs an experiment small and reads its table: a dict of strings for each row."""

    def run(experiment, *options):
        picture = tmp_path / "picture.png"
        experiment.main(["--budget", "small", "--output", str(picture), *options])
        assert picture.read_bytes().startswith(b"\x89PNG")
        header, _, *lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        columns, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in (header, *lines))
        return [dict(zip(columns, row, strict=True)) for row in rows]

    return run


def numbers(rows, column):
    values = np.array([float(row[column]) for row in rows])
    assert np.isfinite(values).all()
    return values


def save_images(path, n_rows, n_train):
    """An archive in MNIST's form: each digit has a bright row of pixels of its own."""
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 10
    X = rng.integers(0, 60, size=(n_rows, 28, 28))
    X[np.arange(n_rows), 2 * y] += 150
    np.savez(path, X=X.reshape(n_rows, 784).astype(np.uint8), y=y.astype(np.uint8), n_train=n_train)


class TestVariationalMixture:
    def test_every_method_has_scores_on_toy_data(self, table):
        rows = table(variational_mixture, "--sets", "circles", "circles, 64 labels")
        assert len(rows) == 2 * len(variational_mixture.FLOWS) + 2
        accuracy = numbers(rows, "accuracy")
        assert ((accuracy >= 0.5) & (accuracy <= 1)).all()
        assert (numbers(rows, "lowest") <= accuracy).all()
        flows = [row for row in rows if row["method"] in variational_mixture.FLOWS]
        assert (numbers(flows, "ELBO, nats a row") < 0).all()
        exact = [row for row in flows if row["method"] == "exact"]
        assert (numbers(exact, "adj. Rand") > 0.9).all()

    def test_given_images_stand_beside_the_published_figures(self, table, tmp_path):
        save_images(tmp_path / "images.npz", 600, 400)
        rows = table(variational_mixture, "--sets", "digits", "--mnist", str(tmp_path / "images.npz"))
        accuracy = {row["method"]: float(row["accuracy"]) for row in rows}
        assert accuracy.keys() >= {*variational_mixture.FLOWS, *variational_mixture.PUBLISHED, "k-means"}
        assert accuracy["start alone"] > 0.9


def test_pruned_fits_have_fewer_components(table):
    rows = table(pruning)
    assert len(rows) == 2 + len(pruning.OTHER_CONCENTRATIONS)
    components = numbers(rows, "components")
    assert components[0] == pruning.N_COMPONENTS
    assert (components[1:] < pruning.N_COMPONENTS).all()
    assert (np.abs(numbers(rows, "adj. Rand")) <= 1).all()


def test_shared_layers_save_parameters(table):
    rows = table(weight_sharing)
    n_shared = weight_sharing.BUDGETS["small"].n_layers + 1
    assert [row["data"] for row in rows] == ["pinwheel"] * n_shared + ["digits"] * n_shared
    assert (np.diff(numbers(rows, "parameters").reshape(2, n_shared), axis=1) < 0).all()
    assert np.ptp(numbers(rows, "log-likelihood, held out")) < 100


class TestPlanarDepth:
    def test_every_flow_has_a_density(self, table):
        rows = table(planar_depth)
        assert len(rows) == len(planar_depth.SETS) * (len(planar_depth.DEPTHS) + 2 * len(planar_depth.NETWORKS))
        assert (np.abs(numbers(rows, "log-likelihood, held out")) < 20).all()

    @pytest.mark.parametrize("flow", planar_depth.NETWORKS)
    @pytest.mark.parametrize("n_parameters", [1000, 3000])
    def test_widths_give_about_the_parameters_wanted(self, flow, n_parameters):
        n_units = planar_depth.width_for(flow, n_parameters)
        assert planar_depth.count_parameters(flow, 4, n_units) == pytest.approx(n_parameters, rel=0.06)


class TestEnergies:
    def test_every_case_has_a_divergence(self, table, monkeypatch):
        monkeypatch.setattr(energies, "CASES", (energies.CASES[0], energies.CASES[-2], energies.CASES[-1]))
        rows = table(energies, "--energies", "1")
        assert len(rows) == len(energies.CASES)
        divergence = numbers(rows, "divergence, nats")
        assert ((divergence > 0) & (divergence < 2)).all()

    def test_divergence_of_a_grid_is_the_integral(self):
        """Of two Gaussians, where it is known."""
        grid = energies.Grid(301)

        def gaussian(points, scale=1.0):
            return -0.5 * (points / scale).square().sum(1)

        one, other = grid.normalized(gaussian), grid.normalized(lambda points: gaussian(points, 0.5))
        assert grid.divergence(one, one) == pytest.approx(0, abs=1e-12)
        assert grid.divergence(other, one) == pytest.approx(2 * (np.log(2) + 0.125 - 0.5), abs=1e-6)


class TestAutoencoderPosteriors:
    def test_every_posterior_has_a_bound_below_its_likelihood(self, table):
        rows = table(autoencoder_posteriors)
        assert [(row["posterior"], int(row["steps"])) for row in rows] == list(autoencoder_posteriors.CASES)
        assert (numbers(rows, "bound") < numbers(rows, "log-likelihood")).all()

    def test_given_images_stand_beside_the_published_figures(self, table, tmp_path):
        save_images(tmp_path / "images.npz", 300, 200)
        rows = table(autoencoder_posteriors, "--mnist", str(tmp_path / "images.npz"), "--posteriors", "normal", "full")
        assert [bool(row["published"]) for row in rows] == [True, False]


class TestStyles:
    def test_images_have_the_class_that_was_wanted(self, table):
        rows = table(styles)
        assert [row["latent features"] for row in rows] == ["2", "10"]
        assert (numbers(rows, "analogies, recognised") > 0.15).all()

    def test_styles_are_spread_like_draws_of_the_prior(self):
        places = styles.grid_of_styles(20)
        np.testing.assert_allclose(places.mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(places.std(0), 1, atol=0.05)

    def test_images_stand_row_by_row(self):
        rows = np.repeat(np.arange(6.0), 4).reshape(6, 4)
        np.testing.assert_array_equal(
            styles.mosaic(rows, 3)[[0, 1, 2]][:, [0, 1, 2, 5]], [[0, 0, 1, 2]] * 2 + [[3, 3, 4, 5]]
        )


class TestOverRelaxation:
    def test_bounds_are_below_the_evidence_and_over_relaxed_ones_are_better(self, table):
        rows = table(over_relaxation)
        gibbs, relaxed = ([row for row in rows if row["method"] == name] for name in over_relaxation.METHODS)
        for some in (gibbs, relaxed):
            least, drawn, error = (numbers(some, name) for name in ("least gap", "gap, drawn", "standard error"))
            assert (drawn > least - 4 * error - 1e-3).all()
            np.testing.assert_allclose(drawn, numbers(some, "gap, best way back"), atol=0.1)
        assert (numbers(relaxed, "gap, drawn") < numbers(gibbs, "gap, drawn")).all()
        assert (numbers(relaxed, "alpha") < -0.1).all()

    def test_gap_without_sweeps_is_the_divergence_of_independent_features(self):
        assert over_relaxation.exact_gap(0.0, 0) == pytest.approx(-0.5 * np.log(1 - 0.99**2), abs=1e-9)
        assert over_relaxation.exact_gap(0.0, 2000) == pytest.approx(0, abs=1e-9)


class TestOverdispersedCounts:
    def test_a_transition_is_tighter_and_no_bound_exceeds_the_evidence(self, table):
        rows = table(overdispersed_counts)
        gaps = numbers(rows, "gap, mean")
        assert 0 < gaps[1] < gaps[0] - 0.1

    def test_the_grid_is_wide_and_fine_enough(self):
        log_a, log_b, value = overdispersed_counts.grid(300)
        edges = value[[0, -1]].max(), value[:, [0, -1]].max()
        assert max(edges) < value.max() - 20
        finer = overdispersed_counts.exact_log_evidence(*overdispersed_counts.grid(600))
        assert overdispersed_counts.exact_log_evidence(log_a, log_b, value) == pytest.approx(finer, abs=1e-6)


def test_accuracy_matches_clusters_to_classes():
    y = np.array([0, 0, 0, 1, 1, 2])
    assert cluster_accuracy(y, [2, 2, 2, 0, 0, 1]) == 1
    assert cluster_accuracy(y, [0, 0, 1, 1, 1, 1]) == pytest.approx(4 / 6)


def test_held_out_digits_do_not_depend_on_those_fitted():
    X, y, X_new, y_new = digits(n_rows=100, seed=1)
    assert len(X) == len(y) == 100
    assert len(X_new) == len(y_new) > 200
    assert X.shape[1] == X_new.shape[1] < 20
    np.testing.assert_array_equal(digits(n_rows=50, seed=2)[3], y_new)


def test_checkerboard_has_rows_on_dark_squares_only():
    X, y = make_checkerboard(400, random_state=0)
    squares = np.floor(X).astype(int)
    assert (squares.sum(1) % 2 == 0).all()
    assert len(np.unique(squares, axis=0)) == len(np.unique(y)) == 8


def test_eight_gaussians_lie_around_the_circle():
    X, y = make_eight_gaussians(4000, random_state=0)
    centres = np.array([X[y == k].mean(0) for k in range(8)])
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=0.03)


class TestWeightNoise:
    def test_local_noise_has_gradients_that_vary_least_of_noisy_ones(self, table):
        rows = table(weight_noise, "--parts", "gradients")
        assert [row["noise drawn for"] for row in rows] == list(weight_noise.ESTIMATORS)
        variance = {row["noise drawn for"]: float(row["last, late"]) for row in rows}
        assert variance["nothing"] < variance["outputs"] < variance["weights, each batch"]

    def test_every_dropout_and_width_has_an_error(self, table):
        rows = table(weight_noise, "--parts", "errors")
        assert [row["dropout"] for row in rows] == list(weight_noise.DROPOUT)
        error = numbers(rows, "error, %")
        assert ((error > 0) & (error < 95)).all()


def test_every_optimiser_learns(table):
    rows = table(optimisers)
    early, late = numbers(rows, "bound, early"), numbers(rows, "bound, late")
    assert len(rows) == 5
    assert (late > early).all()


class TestFewLabels:
    def test_labels_that_spread_tell_most_digits(self, table):
        methods = ("M1 + SVC", "M1+M2", "LabelSpreading", "descriptors, M2")
        rows = table(few_labels, "--methods", *methods)
        assert [row["method"] for row in rows] == list(methods)
        error = dict(zip(methods, numbers(rows, "error, %"), strict=True))
        assert min(error.values()) > 0
        assert max(error["LabelSpreading"], error["descriptors, M2"]) < 30

    def test_labels_are_drawn_of_every_class(self):
        y = np.arange(100) % 10
        partial_y = few_labels.draw_labels(y, 30, 0)
        np.testing.assert_array_equal(np.bincount(partial_y[partial_y >= 0]), 3)
        np.testing.assert_array_equal(partial_y[partial_y >= 0], y[partial_y >= 0])

    def test_descriptors_do_not_see_a_shift(self):
        X = load_digits().data[:50].reshape(50, 8, 8) / 16
        X = np.kron(X, np.ones((2, 2)))
        placed = [np.zeros((50, 28, 28)) for _ in range(2)]
        placed[0][:, 6:22, 6:22] = placed[1][:, 8:24, 3:19] = X
        one, other = (images.descriptors(rows.reshape(50, 784)) for rows in placed)
        np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-3)
        np.testing.assert_allclose(one, other, atol=1e-3)
