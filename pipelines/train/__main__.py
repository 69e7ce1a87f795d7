from pipelines.runner import main
from pipelines.train.stage import run

if __name__ == "__main__":
    main("train", run)
