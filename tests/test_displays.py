"""Pictures: what is drawn is what the estimators say, where it is drawn is where it was asked for."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.integrate import trapezoid
from sklearn.cluster import HDBSCAN
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity, FlowMixturePosterior
from skflowmix.displays import AssignmentDisplay, ComponentsDisplay, DensityDisplay, Marginal, TrainingDisplay
from skflowmix.training import History

mpl.use("Agg")
import matplotlib.pyplot as plt

X, Y = make_moons(80, noise=0.1, random_state=0)
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 6, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def moons():
    with pytest.warns(match="still improved"):
        return FlowMixtureClustering(2, **FAST).fit(X)


@pytest.fixture(scope="module")
def iris():
    return GaussianMixture(3, random_state=0).fit(load_iris().data)


class TestDensityDisplay:
    def test_of_all_features_it_is_the_estimators_own(self, moons):
        display = DensityDisplay.from_estimator(moons, X, grid_resolution=12)
        horizontal, vertical = display.marginals[0].grid
        for row, column in [(0, 0), (5, 2), (11, 7)]:
            expected = np.exp(moons.score_samples([[horizontal[column], vertical[row]]])[0])
            assert display.marginals[0].density[row, column] == pytest.approx(expected)
        assert display.ax_.figure is display.figure_

    def test_features_the_other_way_round_are_the_transposed_picture(self, moons):
        straight = DensityDisplay.from_estimator(moons, X, grid_resolution=9).marginals[0]
        turned = DensityDisplay.from_estimator(moons, X, features=[1, 0], grid_resolution=9).marginals[0]
        np.testing.assert_allclose(turned.density, straight.density.T)

    def test_contours_contain_the_shares_that_are_asked_for(self):
        points = np.linspace(-5, 5, 201)
        density = np.exp(-0.5 * (points[:, None] ** 2 + points**2)) / (2 * np.pi)
        marginal = Marginal((0, 1), (points, points), density)
        for share in (0.1, 0.5, 0.9, 0.99):  # of a normal distribution in two dimensions: r^2 / 2 = -log(1 - share)
            assert marginal.level_of(share) == pytest.approx((1 - share) / (2 * np.pi), rel=0.03)

    def test_a_corner_plot_has_marginals_that_integrate_to_one(self, iris):
        display = DensityDisplay.from_estimator(iris)
        assert [marginal.features for marginal in display.marginals][:4] == [(0,), (0, 1), (1,), (0, 2)]
        for marginal in display.marginals:
            cell = np.prod([grid[1] - grid[0] for grid in marginal.grid])
            assert marginal.density.sum() * cell == pytest.approx(1, abs=0.01)
        assert display.ax_.shape == (4, 4)
        assert display.ax_[0, 1] is None
        assert display.ax_[3, 1].get_xlabel() == "x1"

    def test_a_marginal_is_that_of_the_mixture(self, iris):
        marginal = DensityDisplay.from_estimator(iris, features=[2]).marginals[0]
        means, scales = iris.means_[:, 2], np.sqrt(iris.covariances_[:, 2, 2])
        parts = np.exp(-0.5 * ((marginal.grid[0][:, None] - means) / scales) ** 2) / (scales * np.sqrt(2 * np.pi))
        np.testing.assert_allclose(marginal.density, parts @ iris.weights_, atol=0.08)

    def test_pairs_are_a_row_of_panels_within_given_axes(self, iris):
        figure, axes = plt.subplots(1, 2)
        display = DensityDisplay.from_estimator(iris, load_iris().data, features=[(0, 1), (3, 2)], ax=axes[1])
        assert display.figure_ is figure
        assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in display.ax_.ravel()] == [("x0", "x1"), ("x3", "x2")]

    def test_names_of_features_are_those_of_the_table(self, device):
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame(X, columns=["east", "north"])
        model = FlowMixtureDensity(1, n_estimators=1, device=device, **FAST).fit(table)
        display = DensityDisplay.from_estimator(make_pipeline(model), table, features=["north", "east"], cmap="Blues")
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("north", "east")
        DensityDisplay.from_estimator(model, grid_resolution=5)
        with pytest.raises(ValueError, match="'up', and there are"):
            DensityDisplay.from_estimator(model, table, features=["up"])

    def test_one_feature_is_a_curve(self, device):
        model = FlowMixtureDensity(2, n_estimators=1, device=device, **FAST).fit(X[:, :1])
        display = DensityDisplay.from_estimator(model, grid_resolution=200, random_state=0)
        assert trapezoid(display.marginals[0].density, display.marginals[0].grid[0]) == pytest.approx(1, abs=0.02)

    def test_posteriors_are_drawn(self, device):
        posterior = FlowMixturePosterior(1, flow="affine", max_iter=1, random_state=0, device=device)
        with pytest.warns(match="still improved"):
            posterior.fit(lambda theta: -0.5 * theta.square().sum(1), 3)
        display = DensityDisplay.from_estimator(posterior, n_samples=2000)
        assert len(display.contours_) == 6

    @pytest.mark.parametrize(
        ("features", "message"),
        [
            ([0, 2], "indices from 0 to 1"),
            ([(0, 1, 1)], "pairs of two"),
            ([(1, 1)], "two different features"),
            ([0, 0], "each of them once"),
            ([], "must name"),
            ([True], "indices"),
        ],
    )
    def test_features_that_there_are_not_are_named(self, moons, features, message):
        with pytest.raises(ValueError, match=message):
            DensityDisplay.from_estimator(moons, X, features=features)

    @pytest.mark.parametrize("features", [0, "x0"])
    def test_features_are_a_list(self, moons, features):
        with pytest.raises(TypeError, match="features must be a list"):
            DensityDisplay.from_estimator(moons, X, features=features)

    @pytest.mark.parametrize("resolution", [1, 0, True, 2.0])
    def test_a_grid_has_two_points_in_each_direction(self, moons, resolution):
        with pytest.raises(ValueError, match="grid_resolution must be an integer of at least 2; got"):
            DensityDisplay.from_estimator(moons, X, grid_resolution=resolution)

    @pytest.mark.parametrize("rows", [X[0], X[:0], X[:, :0]])
    def test_rows_that_cannot_be_drawn(self, moons, rows):
        with pytest.raises(ValueError, match="X must have rows and columns; got an array of shape"):
            DensityDisplay.from_estimator(moons, rows)
        with pytest.raises(ValueError, match="X must have rows and columns; got an array of shape"):
            AssignmentDisplay.from_labels(rows, np.zeros(len(rows)))

    def test_an_estimator_without_densities(self):
        with pytest.raises(TypeError, match="HDBSCAN has no score_samples; a density is drawn of what has"):
            DensityDisplay.from_estimator(HDBSCAN(), X)
        for how in ({"X": X, "features": [0]}, {}):
            with pytest.raises(TypeError, match="HDBSCAN has no sample; a part of the features, or all without X"):
                DensityDisplay.from_estimator(HDBSCAN(), **how)

    def test_what_is_not_fitted_says_so(self):
        for how in ({"X": X}, {}):
            with pytest.raises(NotFittedError):
                DensityDisplay.from_estimator(FlowMixtureDensity(), **how)

    def test_too_many_features_are_to_be_chosen_from(self):
        rows = np.random.RandomState(0).standard_normal((30, 11))
        with pytest.raises(ValueError, match="at most 10 are drawn"):
            DensityDisplay.from_estimator(GaussianMixture(1).fit(rows))

    @pytest.mark.parametrize("shares", [[], [0.5, 1.0], [0.0]])
    def test_shares_are_between_nil_and_one(self, moons, shares):
        with pytest.raises(ValueError, match="between 0 and 1"):
            DensityDisplay.from_estimator(moons, X, shares=shares)


class TestAssignmentDisplay:
    def test_an_estimator_without_clusters(self):
        with pytest.raises(TypeError, match=r"StandardScaler has no predict; .*\.from_labels\(X, labels\)"):
            AssignmentDisplay.from_estimator(StandardScaler(), X)

    def test_rows_have_the_colours_of_what_they_are_assigned_to(self, moons):
        display = AssignmentDisplay.from_estimator(moons, X, legend=True)
        colors = display.ax_.collections[0].get_facecolors()
        tab10 = mpl.colormaps["tab10"]
        np.testing.assert_allclose(colors[:, :3], np.array([tab10(label)[:3] for label in moons.predict(X)]))
        certainty = moons.predict_proba(X).max(1)
        np.testing.assert_array_equal(np.argsort(colors[:, 3][certainty < 1]), np.argsort(certainty[certainty < 1]))
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["0", "1"]

    def test_it_goes_over_the_density(self, moons, iris):
        for model, rows in [(moons, X), (iris, load_iris().data)]:
            below = DensityDisplay.from_estimator(model, rows, grid_resolution=9, n_samples=500)
            above = AssignmentDisplay.from_estimator(model, rows, ax=below.ax_)
            assert above.ax_ is below.ax_
        with pytest.raises(ValueError, match=r"shape \(3, 3\); got shape \(4, 4\)"):
            AssignmentDisplay.from_estimator(iris, rows, features=[0, 1, 2], ax=above.ax_)

    def test_a_component_without_rows_keeps_its_colour(self):
        model = GaussianMixture(3, random_state=0).fit(X)
        alone = X[model.predict(X) == 2]
        display = AssignmentDisplay.from_estimator(model, alone)
        np.testing.assert_allclose(display.ax_.collections[0].get_facecolors()[0, :3], mpl.colormaps["tab10"](2)[:3])

    def test_classes_have_their_names(self, device):
        classes = np.array(["left", "right"])[Y]
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, classes)
        assert AssignmentDisplay.from_estimator(model, X).names == ["left", "right"]

    def test_background_is_grey(self):
        labels = HDBSCAN(min_cluster_size=30, copy=True).fit_predict(X)
        labels[0] = -1
        display = AssignmentDisplay.from_labels(X, labels)
        np.testing.assert_allclose(display.ax_.collections[0].get_facecolors()[0], (0.6, 0.6, 0.6, 1))
        assert -1 not in display.names

    def test_many_components_have_different_colours(self):
        display = AssignmentDisplay.from_labels(X, np.arange(80) % 14)
        assert len(np.unique(display.ax_.collections[0].get_facecolors(), axis=0)) == 14

    def test_a_label_for_each_row(self):
        with pytest.raises(ValueError, match="X has 80, labels 79"):
            AssignmentDisplay.from_labels(X, Y[1:])

    def test_pipelines_are_asked_as_a_whole(self):
        model = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(X)
        np.testing.assert_array_equal(AssignmentDisplay.from_estimator(model, X).labels, model.predict(X))


class TestTrainingDisplay:
    def test_lines_are_the_scores_of_the_history(self, moons):
        display = TrainingDisplay.from_estimator(moons)
        warm_up, rest = moons.history_.warm_up, moons.history_
        drawn = [line.get_ydata().tolist() for line in display.lines_]
        scores = [warm_up.training_score, warm_up.validation_score, rest.training_score, rest.validation_score]
        assert drawn == [[one[0] for one in score] for score in scores]
        assert display.lines_[-1].get_xdata()[-1] == moons.n_iter_

    @pytest.mark.parametrize(
        "parameters", [{"solver": "em", "n_init": 2}, {"n_estimators": 2}, {"early_stopping": False, "n_estimators": 1}]
    )
    def test_every_kind_of_fit_is_drawn(self, parameters, device):
        model = FlowMixtureDensity(2, device=device, **FAST, **parameters).fit(X)
        display = TrainingDisplay.from_estimator(model)
        last = [member[-1].iteration[-1] for member in display.members]
        assert sum(last) == model.n_iter_
        assert all(len(stretch.training_score) == len(stretch.iteration) for one in display.members for stretch in one)

    def test_cuts_of_the_step_size_are_marked(self):
        scores, rates = [[-3.0], [-2.0], [-1.5], [-1.4]], [[1e-2], [1e-2], [2e-3], [2e-3]]
        display = TrainingDisplay.from_history(History(training_score=scores, learning_rate=rates))
        marks = [line.get_xdata()[0] for line in display.ax_.get_lines() if line.get_label() == "smaller step size"]
        assert marks == [3]

    def test_nothing_to_draw_is_no_error(self):
        assert TrainingDisplay.from_history(History()).lines_ == []


class TestComponentsDisplay:
    def test_the_number_of_the_fit_is_the_best(self, device):
        model = FlowMixtureClustering("auto", device=device, **FAST).fit(X)
        display = ComponentsDisplay.from_estimator(model)
        assert display.best == [model.n_components_]
        assert dict(zip(*display.lines_[0].get_data(), strict=True)) == model.n_components_scores_

    def test_each_class_has_a_line(self, device):
        model = FlowMixtureClassifier("auto", device=device, **FAST).fit(X, Y)
        display = ComponentsDisplay.from_estimator(model)
        assert [line.get_label().partition(":")[0] for line in display.lines_] == ["class 0", "class 1"]
        assert max(display.best) == model.n_components_ / 2

    def test_a_fit_of_a_given_number_has_no_scores(self, moons):
        with pytest.raises(AttributeError, match="n_components='auto'"):
            ComponentsDisplay.from_estimator(moons)

    def test_an_estimator_that_counts_no_clusters(self):
        with pytest.raises(TypeError, match="GaussianMixture has no n_components_scores_; those of mixtures of this"):
            ComponentsDisplay.from_estimator(GaussianMixture())
        with pytest.raises(TypeError, match="GaussianMixture has no history_; the estimators of this package do"):
            TrainingDisplay.from_estimator(GaussianMixture())
