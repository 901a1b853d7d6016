"""Whether generated images help a classifier: folds, arms, classifiers, what they get right, and a verdict."""
