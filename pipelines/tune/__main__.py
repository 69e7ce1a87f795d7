from pipelines.runner import main
from pipelines.tune.stage import run

if __name__ == "__main__":
    main("tune", run)
