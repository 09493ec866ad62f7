"""Where the site has the page of each estimator, for scikit-learn's HTML display."""

PAGE_OF_ESTIMATOR = "https://skflowmix.readthedocs.io/en/latest/api/skflowmix.{estimator_name}.html"
