from pipelines.labels.stage import run
from pipelines.runner import main

if __name__ == "__main__":
    main("labels", run)
