"""Print what the benchmarks are for: ratios, each against a named peer in the same run."""


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    measured = [each for each in session.benchmarks if each.extra_info] if session else []
    if measured:
        terminalreporter.section("ratios")
    for each in measured:
        facts = (
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in each.extra_info.items()
        )
        terminalreporter.write_line(f"{each.name}: {', '.join(facts)}")
