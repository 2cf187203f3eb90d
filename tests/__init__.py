"""The tests; `strategies` makes whole cases, `goldens` renews the golden bundles, `bench` measures."""
