"""What users of Gaussian mixtures look for here, and why it is not there."""


def no_criterion(estimator):
    """Raise an error that says what does better."""
    raise AttributeError(
        "Flows have no bic, aic or icl: weights of networks that stop early are no count of parameters. For the "
        "number of clusters set n_components='auto'; a number for the density is compared by cross_val_score or "
        "GridSearchCV, whose default is the log-density of rows left out."
    )
