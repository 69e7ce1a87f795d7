from pipelines.monte_carlo.stage import run
from pipelines.runner import main

if __name__ == "__main__":
    main("monte_carlo", run)
